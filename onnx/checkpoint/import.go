package checkpoint

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
)

// Config says how a checkpoint becomes a model. Its zero value recognises the
// architecture and puts the normalisation into the graph.
type Config struct {
	Arch   string   // the architecture, one of arch.Names; "": recognised by the tensors
	Labels []string // names of the classes in the order of the logits; nil: not known

	// NormalizeOutside leaves the normalisation out of the graph. The Spec then
	// asks whoever feeds the model to do it.
	NormalizeOutside bool

	// Change, where it is not nil, is called with what is known of the model's
	// input, and may change it: InputSize, Resize, Crop, Interpolation, and the
	// normalisation, Mean and Std. Import returns its error as it is.
	Change func(*onnx.Spec) error

	// BatchNormEps is what the frozen batch norms of a detector add to variances; see
	// [arch.Config]. Nil: 0 for the files that torchvision released for that, which are
	// known by their digests, else 1e-5.
	BatchNormEps *float64

	Claim Claim // what the file is said to be
}

// Imported is a model made of a checkpoint, and what was found out on the way.
type Imported struct {
	*Checkpoint // whose weights the model reads until it is closed

	Model         *onnx.Model
	Spec          onnx.Spec // of Model
	Classes       int       // number of logits
	Normalization Normalization
	Mean, Std     []float64 // of the normalisation in front of the network; nil: none

	weights *watch
}

// Import makes a model of the network in a checkpoint, which must be the only one
// or the one whose key says that it is the network. The caller saves the model,
// then closes what Import returns.
func Import(path string, cfg Config) (*Imported, error) {
	c, err := Open(path, -1)
	if err != nil {
		return nil, err
	}
	im, err := c.Import(cfg)
	if err != nil {
		c.Close()
		return nil, err
	}
	return im, nil
}

// Import makes a model of the network. After an error the checkpoint is still
// open.
func (c *Checkpoint) Import(cfg Config) (*Imported, error) {
	im := &Imported{Checkpoint: c, weights: &watch{}}
	err := im.build(cfg)
	if own, ok := err.(callerError); ok {
		return nil, own.error
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %q: %w", c.path, err)
	}
	return im, nil
}

// callerError is an error of Config.Change.
type callerError struct{ error }

func (im *Imported) build(cfg Config) error {
	name, err := im.recognize(cfg.Arch)
	if err != nil {
		return err
	}
	if cfg.BatchNormEps == nil {
		if cfg.BatchNormEps, err = im.releasedEps(); err != nil {
			return err
		}
	}
	tensors := im.keyed(name)
	for i, t := range tensors {
		tensors[i] = im.weights.tensor(t)
	}
	if im.Model, err = im.model(name, tensors, cfg); err != nil {
		return err
	}
	if im.Spec, _, err = im.Model.Spec(); err != nil {
		return err
	}
	im.Classes = classCount(im.Model, im.Spec)
	if err := cfg.Claim.Check(name, im.Classes); err != nil {
		return err
	}
	im.Spec.Robustness = storedRobustness(im.File.Fields(), im.Classes)
	if cfg.Claim.Norm != "" {
		im.Spec.Robustness = &onnx.Robustness{Norm: cfg.Claim.Norm, Eps: cfg.Claim.Eps}
	}
	if im.Spec.Source, err = im.source(); err != nil {
		return err
	}
	im.Model, err = im.Model.WithSpec(im.Spec)
	return err
}

// Defect returns the first tensor with a value that no sound network has, among
// those that have been written so far. ok is false where there is none.
func (im *Imported) Defect() (d Defect, ok bool) { return im.weights.found() }
