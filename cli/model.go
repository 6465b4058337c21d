package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/onnx"
)

// openModel opens what --model names.
func (e *env) openModel(name string) (*onnx.Model, error) {
	m, err := e.loadModel(name)
	if err != nil {
		return nil, err
	}
	if err := m.CheckOpset(); err != nil {
		return nil, err
	}
	if bad := m.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("onnx: %q: %s: %w", m.Name(), bad[0], onnx.ErrFormat)
	}
	return m, nil
}

// saveModel writes a model, unless the file holds it already.
func saveModel(ctx context.Context, m *onnx.Model, t target) (status string, err error) {
	if info, err := os.Stat(t.name); err == nil && info.Mode().IsRegular() && !t.overwrite && t.spare(t.inputs...) == nil {
		// The metadata tell of the file that the weights are from.
		if old, err := onnx.Load(t.name); err == nil && m.SameButWeights(old) {
			return "cached", nil
		}
		return "", &usageError{msg: fmt.Sprintf("--%s %q is there and not this model", t.flag, t.name), hint: "choose another --" + t.flag + ", or --overwrite"}
	}
	return "done", t.write(ctx, m.Write)
}

// readLabels reads names of classes, one a line.
func readLabels(file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{msg: "--labels: " + err.Error()}
	}
	var labels []string
	for i, l := range strings.Split(strings.TrimRight(string(data), "\r\n"), "\n") {
		l = featurize.ClassOfLabel(strings.TrimSpace(l))
		if l == "" || slices.Contains(labels, l) {
			return nil, &usageError{msg: fmt.Sprintf("--labels %q: line %d is %q, expected a name that no other line has", file, i+1, l)}
		}
		labels = append(labels, l)
	}
	return labels, nil
}
