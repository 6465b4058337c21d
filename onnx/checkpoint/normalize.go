package checkpoint

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// Normalization says where the normalisation of an imported model comes from.
type Normalization int

const (
	// NormalizedByFile is the mean and std of a normalizer in the checkpoint.
	NormalizedByFile Normalization = iota
	// NormalizedByArch is the mean and std that the architecture's published
	// weights expect; the checkpoint has none.
	NormalizedByArch
	// NormalizedByCaller is what Config.Change asked for.
	NormalizedByCaller
	// NormalizedByNetwork is done by the network itself, with its own buffers.
	NormalizedByNetwork
	// NotNormalized leaves pixels in [0,1] as they are.
	NotNormalized
)

// ErrNormalized says that the caller asked for a normalisation in front of a
// network that normalises its input itself.
var ErrNormalized = errors.New("the network normalises its input itself, by its buffers")

// LabelsError is the error of labels whose number is not that of the classes.
type LabelsError struct{ Labels, Classes int }

func (e *LabelsError) Error() string {
	return fmt.Sprintf("%d labels for %d classes", e.Labels, e.Classes)
}

// model builds the model twice: first as the checkpoint and the architecture
// describe it, then as the caller wants it.
func (im *Imported) model(name string, tensors []onnx.Tensor, cfg Config) (*onnx.Model, error) {
	n := im.Network
	built := arch.Config{Mean: n.Mean, Std: n.Std, Headless: im.headless(), BatchNormEps: cfg.BatchNormEps}
	if n.Clamp {
		built.Clamp = []float64{0, 1}
	}
	plain, err := arch.Build(name, tensors, built)
	if err != nil {
		return nil, err
	}
	found, _, err := plain.Spec()
	if err != nil {
		return nil, err
	}
	if k := classCount(plain, found); cfg.Labels != nil && len(cfg.Labels) != k {
		return nil, &LabelsError{len(cfg.Labels), k}
	}
	wanted, err := cfg.changed(found)
	if err != nil {
		return nil, err
	}
	im.Normalization = normalization(n.Mean, found, wanted)
	im.Mean, im.Std = wanted.Mean, wanted.Std
	built.Mean, built.Std, built.InputSize, built.Labels = wanted.Mean, wanted.Std, wanted.InputSize, cfg.Labels
	built.Normalize = !cfg.NormalizeOutside && !wanted.Normalized && wanted.Mean != nil
	m, err := arch.Build(name, tensors, built)
	if err != nil {
		return nil, err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	spec.Resize, spec.Crop, spec.Interpolation = wanted.Resize, wanted.Crop, wanted.Interpolation
	if !built.Normalize && wanted.Mean == nil {
		spec.Mean, spec.Std = nil, nil
	}
	return m.WithSpec(spec)
}

// changed is a Spec as the caller wants it.
func (cfg Config) changed(found onnx.Spec) (onnx.Spec, error) {
	wanted := found
	if cfg.Change == nil {
		return wanted, nil
	}
	if err := cfg.Change(&wanted); err != nil {
		return wanted, callerError{err}
	}
	if err := wanted.Check(); err != nil {
		return wanted, err
	}
	if found.Normalized && !wanted.Normalized {
		return wanted, ErrNormalized
	}
	return wanted, nil
}

// normalization says where that of the wanted Spec is from. mean is that of the
// checkpoint's normalizer, nil where it has none.
func normalization(mean []float64, found, wanted onnx.Spec) Normalization {
	switch {
	case wanted.Normalized:
		return NormalizedByNetwork
	case wanted.Mean == nil:
		return NotNormalized
	case !slices.Equal(wanted.Mean, found.Mean):
		return NormalizedByCaller
	case mean == nil:
		return NormalizedByArch
	}
	return NormalizedByFile
}
