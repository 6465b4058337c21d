package graph

import "github.com/robust-transfer/rtx/onnx"

// Export returns the model with new values for all parameters, running statistics
// included. read copies the values of a parameter into dst; it is called when the
// model is written.
func (n *Network) Export(read func(name string, dst []float32) error) (*onnx.Model, error) {
	names := make([]string, len(n.params))
	for i, p := range n.params {
		names[i] = p.Name
	}
	return n.model.WithFloats(names, read)
}
