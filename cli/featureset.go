package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
)

// features are a feature set in memory, and what is known of its making.
type features struct {
	*probe.Set
	run *featurizeRun // nil: another program made them
}

// featurizeRun is what run.json tells of a set that rtx made.
type featurizeRun struct {
	Model        modelFile `json:"model"`
	ResolvedSpec onnx.Spec `json:"resolved_spec"`
	Config       struct {
		Layer      string `json:"layer"`
		Pool       string `json:"pool"`
		PreResize  string `json:"pre_resize"`
		Statistics string `json:"statistics"` // of batch norms adapted to the images; "": the model's
	} `json:"config"`
}

// readFeatures reads a feature set: a folder of featurize, or arrays that
// others made, whose labels may lie in a file of their own.
func readFeatures(path, labels string, p probe.Products) (*features, error) {
	s, err := openFeatures(path, labels)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "--data names a folder of rtx featurize, or an .npy, .npz or .safetensors file"}
	case errors.Is(err, featurize.ErrLabels):
		return nil, hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), "--labels names an .npy file of integers"}
	case err != nil:
		return nil, err
	}
	defer s.Close()
	d, err := probe.ReadFeatures(s)
	if err != nil {
		return nil, err
	}
	f := &features{}
	if f.run, err = readRun(path); err != nil {
		return nil, err
	}
	if f.Set, err = probe.NewSet(d, p); err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return f, nil
}

func openFeatures(path, labels string) (*featurize.Set, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return featurize.OpenArrays(path, labels)
	}
	if labels != "" {
		return nil, &usageError{msg: fmt.Sprintf("--labels goes with a file of features, and %q is a folder, which has them", path)}
	}
	return featurize.OpenSet(path)
}

// readRun reads the run.json of a feature set, nil where there is none.
func readRun(dir string) (*featurizeRun, error) {
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return nil, nil // another program's
	}
	var r featurizeRun
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%q: run.json: %w: %w", dir, err, featurize.ErrFormat)
	}
	return &r, nil
}
