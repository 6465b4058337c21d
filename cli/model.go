package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

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

// saveModel writes a model to a file that does not hold another one yet.
func saveModel(ctx context.Context, m *onnx.Model, path string, overwrite bool) (status string, err error) {
	if info, err := os.Stat(path); err == nil && !overwrite {
		if info.IsDir() {
			return "", &usageError{msg: fmt.Sprintf("--out %q is a folder, expected a file", path)}
		}
		// The metadata tell of the file that the weights are from.
		old, err := onnx.Load(path)
		if err == nil && m.SameButWeights(old) {
			return "cached", nil
		}
		return "", &usageError{msg: fmt.Sprintf("--out %q is there and not this model", path), hint: "choose another --out, or --overwrite"}
	}
	return "done", writeFile(ctx, path, m.Write)
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
		l = strings.TrimSpace(l)
		if l == "" || slices.Contains(labels, l) {
			return nil, &usageError{msg: fmt.Sprintf("--labels %q: line %d is %q, expected a name that no other line has", file, i+1, l)}
		}
		labels = append(labels, l)
	}
	return labels, nil
}
