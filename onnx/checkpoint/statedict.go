package checkpoint

import (
	"io"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// StateDict is the weights of a model for load_state_dict of its PyTorch network.
type StateDict struct {
	Tensors []onnx.Tensor // every parameter and buffer, in the network's order
	header  []byte
}

// Weights returns the weights of a model that Import made, or package arch, with
// the names that they had in the checkpoint, or with torchvision's. The model must
// have the initializers of its architecture: where batch norms were folded, the
// error is an *arch.Mismatch.
func Weights(m *onnx.Model, torchvision bool) (*StateDict, error) {
	tensors, err := arch.Weights(m)
	if err != nil {
		return nil, err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	original := map[string]string{} // torchvision's names by the checkpoint's
	for name, source := range spec.SourceNames {
		original[source] = name
	}
	entries := make([]safetensors.Tensor, len(tensors))
	for i, t := range tensors {
		if name := original[t.Name]; torchvision && name != "" {
			tensors[i].Name = name
		}
		shape := make([]int, len(t.Dims))
		for k, d := range t.Dims {
			shape[k] = int(d)
		}
		entries[i] = safetensors.Tensor{Name: tensors[i].Name, DType: safetensors.TypeName(t.DType), Shape: shape}
	}
	header, err := safetensors.Header(entries, map[string]string{"format": "pt"})
	return &StateDict{tensors, header}, err
}

// Write writes the weights as a .safetensors file, a tensor at a time.
func (s *StateDict) Write(w io.Writer) error {
	_, err := w.Write(s.header)
	for i := 0; i < len(s.Tensors) && err == nil; i++ {
		err = s.Tensors[i].Write(w)
	}
	return err
}
