package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/probe"
)

// features are a feature set in memory, and what is known of its making.
type features struct {
	*probe.Set
	run *featurize.Provenance // nil: another program made them
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

// readRun reads the run.json of a feature set, nil where there is none, as in the
// sets of other programs.
func readRun(dir string) (*featurize.Provenance, error) {
	p, err := featurize.ReadProvenance(dir)
	switch {
	case errors.Is(err, featurize.ErrFormat):
		return nil, fmt.Errorf("%q: %w", dir, err)
	case err != nil:
		return nil, nil
	}
	return p, nil
}
