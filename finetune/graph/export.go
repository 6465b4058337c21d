package graph

import "github.com/robust-transfer/rtx/onnx"

// Export returns the model with the parameters that read gives, statistics
// included, as an executor's Read does. They are asked for when the model is
// written.
func (n *Network) Export(read func(name string, dst []float32) error) (*onnx.Model, error) {
	names := make([]string, len(n.params))
	for i, p := range n.params {
		names[i] = p.Name
	}
	return n.model.WithFloats(names, read)
}
