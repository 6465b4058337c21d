package train

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/onnx"
)

// DataConfig says how the images of a set are brought to a detector in training. The
// zero value is the default.
type DataConfig struct {
	// Size, a multiple of 32, makes all batches squares of this side: images are scaled
	// so that their longer side is Size. 0: batches have one of a few canvases, which
	// are chosen by the images, and a batch is of images of similar shapes.
	Size int

	// MinSizes and MaxSize are read where Size is 0. The shorter side of a training
	// image becomes one of MinSizes, drawn anew in each epoch, as far as the longer one
	// does not exceed MaxSize. Where nothing is drawn it becomes the largest of them.
	// nil and 0: those of Spec.Detect.Images.
	MinSizes []int
	MaxSize  int
	Canvases int // at most so many; 0: 6

	Flip      bool // half of the training images, drawn anew in each epoch, are mirrored
	Masks     bool // targets have masks
	KeepEmpty bool // training images without an object to learn are kept, as background

	// ValFraction is the fraction of the training images that is held out for validation
	// if the set has no validation split. 0: 0.1; negative: none.
	ValFraction float64

	Seed      uint64 // of flips, sizes and held-out images
	BatchSize int    // of batches that do not mix canvases; 0: 2
	Workers   int    // goroutines that read and decode; 0: 1
	Cache     int64  // most bytes of decoded images kept between epochs; 0: 1 GiB, negative: none
}

// resolve fills in defaults.
func (d *Data) resolve() error {
	c, i := &d.config, d.spec.Detect.Images
	for _, n := range []struct {
		name         string
		value, least int
	}{{"size", c.Size, 0}, {"longer side", c.MaxSize, 0}, {"number of canvases", c.Canvases, 0}, {"batch size", c.BatchSize, 0}} {
		if n.value < n.least {
			return fmt.Errorf("detect: the %s is %d", n.name, n.value)
		}
	}
	if c.Size%canvasMultiple != 0 {
		return fmt.Errorf("detect: the size of images is %d, expected a multiple of %d", c.Size, canvasMultiple)
	}
	if !(c.ValFraction < 1) {
		return fmt.Errorf("detect: the share to validate on is %v, expected less than 1", c.ValFraction)
	}
	if c.MaxSize == 0 {
		c.MaxSize = i.MaxSize
	}
	if len(c.MinSizes) == 0 {
		c.MinSizes = []int{i.MinSize}
	}
	if c.Size > 0 {
		c.MinSizes, c.MaxSize = []int{c.Size}, c.Size
	}
	if least := slices.Min(c.MinSizes); least < 1 {
		return fmt.Errorf("detect: a shorter side is %d", least)
	}
	orDefault(&c.Canvases, 6)
	orDefault(&c.BatchSize, 2)
	orDefault(&c.Workers, 1)
	orDefault(&c.ValFraction, .1)
	orDefault(&c.Cache, 1<<30)
	d.images = i
	d.images.MinSize, d.images.MaxSize = slices.Max(c.MinSizes), c.MaxSize
	return nil
}

func orDefault[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

// matchClasses finds the classes of the set among the detector's, by name. It is an
// error if the detector lacks the class of an object.
func (d *Data) matchClasses() error {
	objects := make([]int, len(d.set.Classes))
	for i := range d.set.Images {
		for _, o := range d.set.Images[i].Objects {
			objects[o.Class]++
		}
	}
	var strange []string
	for i, c := range d.set.Classes {
		at := slices.IndexFunc(d.spec.Detect.Classes, func(k onnx.DetectClass) bool { return k.Name == c.Name && c.Name != "" })
		if d.classes = append(d.classes, at); at < 0 && objects[i] > 0 {
			strange = append(strange, fmt.Sprintf("%q (%d objects)", c.Name, objects[i]))
		}
	}
	if len(strange) > 0 {
		return fmt.Errorf("detect: the detector does not have %d of the %d classes of the data, such as %s: %w", len(strange), len(d.set.Classes), strange[0], featurize.ErrData)
	}
	return nil
}
