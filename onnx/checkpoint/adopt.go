package checkpoint

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/robust-transfer/rtx/onnx"
)

// Adopt returns a foreign ONNX model with the names and versions of the models
// that Import makes, as far as that is possible, and with a complete Spec: the
// given one, labels where they are not nil, and the file that it was loaded
// from as its source. The normalisation becomes part of the graph, unless the Spec
// has NormalizeOutside set.
func Adopt(m *onnx.Model, spec onnx.Spec, labels []string) (*onnx.Model, error) {
	out, err := m.WithSpec(spec)
	if err != nil {
		return nil, err
	}
	if out, err = out.Adopt(); err != nil {
		return nil, err
	}
	if spec, _, err = out.Spec(); err != nil {
		return nil, err
	}
	if labels == nil && m.Metadata(onnx.SpecKey) == "" && m.Metadata(onnx.ClassesKey) == "" {
		if labels, err = m.Classes(); err != nil {
			return nil, err
		}
	}
	if labels != nil {
		text, err := json.Marshal(labels)
		if err != nil {
			return nil, fmt.Errorf("checkpoint: labels: %w", err)
		}
		out, spec.Labels = out.WithMetadata(onnx.ClassesKey, string(text)), labels
	}
	if spec.Source == nil {
		sum, err := m.SHA256()
		if err != nil {
			return nil, err
		}
		spec.Source = &onnx.Source{File: filepath.Base(m.Path()), SHA256: sum}
	}
	if out, err = out.WithSpec(spec); err != nil {
		return nil, err
	}
	return out.Normalize()
}
