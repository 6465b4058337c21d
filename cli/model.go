package cli

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
)

// openModel opens what --model names.
func (e *env) openModel(name string) (*onnx.Model, error) {
	m, err := e.loadModel(name)
	if err != nil {
		return nil, err
	}
	if bad := m.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("onnx: %q: %s: %w", m.Path(), bad[0], onnx.ErrFormat)
	}
	return m, nil
}
