package detect

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// Model is a Detector that an ONNX model makes. Only one goroutine at a time may use
// it.
type Model struct {
	spec     onnx.Spec
	networks []Network

	deployed                    Network // nil: the parts of a core
	normalize, trunk, box, mask Network
}

// Open makes a Detector of a model whose Spec is that of a detector; open makes the
// networks that run it, or its parts. A deployed model computes the detections itself.
// Of a core, the post-processing is done here, and gives the same.
//
// Images of any size are taken, and boxes and masks are in their pixels.
func Open(m *onnx.Model, open func(*onnx.Model) (Network, error)) (*Model, error) {
	spec, err := specOf(m)
	if err != nil {
		return nil, err
	}
	d := &Model{spec: spec}
	if spec.Detect.Deployed != nil {
		err = d.open(open, m, &d.deployed)
	} else {
		var p *Parts
		if p, err = Split(m); err == nil {
			err = d.openParts(open, p)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Model) openParts(open func(*onnx.Model) (Network, error), p *Parts) error {
	return errors.Join(d.open(open, p.Normalize, &d.normalize), d.open(open, p.Trunk, &d.trunk), d.open(open, p.Box, &d.box), d.open(open, p.Mask, &d.mask))
}

func (d *Model) open(open func(*onnx.Model) (Network, error), m *onnx.Model, to *Network) error {
	if m == nil {
		return nil
	}
	n, err := open(m)
	if err == nil {
		*to = n
		d.networks = append(d.networks, n)
	}
	return err
}

// Close closes the networks that are io.Closers.
func (d *Model) Close() error {
	var all []error
	for _, n := range d.networks {
		if c, ok := n.(io.Closer); ok {
			all = append(all, c.Close())
		}
	}
	return errors.Join(all...)
}

// Classes are those that Detection.Class counts.
func (d *Model) Classes() []onnx.DetectClass { return d.spec.Detect.Classes }

// Detect finds the objects in an image.
func (d *Model) Detect(ctx context.Context, img *pixels.Image) ([]Detection, error) {
	if err := checkImage(img); err != nil {
		return nil, err
	}
	given := Size{img.Height, img.Width}
	if d.deployed == nil {
		return d.core(ctx, img, given)
	}
	size := given
	var err error
	if !d.spec.Detect.Images.Inside {
		size = Scaled(d.spec.Detect.Images, given)
		if img, err = resized(img, size); err != nil {
			return nil, fmt.Errorf("detect: %w", err)
		}
	}
	out, err := d.deployed.Run(ctx, onnx.Array{Dims: []int{1, 3, size.H, size.W}, Floats: planes(img)})
	if err != nil {
		return nil, err
	}
	return d.read(out, size, given)
}

// read makes detections of the outputs of a deployed model, which saw an image of a
// size.
func (d *Model) read(out []onnx.Array, size, given Size) ([]Detection, error) {
	s := d.spec.Detect
	masked := s.Deployed.Masks != ""
	if want := 3 + btoi(masked) + btoi(s.Deployed.Batch > 0); len(out) != want {
		return nil, fmt.Errorf("detect: %d outputs, expected %d: %w", len(out), want, onnx.ErrFormat)
	}
	n := len(out[2].Floats)
	if s.Deployed.Batch > 0 {
		if last := out[len(out)-1].Ints; len(last) != 1 || last[0] < 0 || int(last[0]) > n {
			return nil, fmt.Errorf("detect: output num is %v of %d rows: %w", last, n, onnx.ErrFormat)
		}
		n = int(out[len(out)-1].Ints[0])
	}
	if len(out[0].Floats) < 4*n || len(out[1].Ints) < n {
		return nil, fmt.Errorf("detect: outputs of shapes %v, %v and %v: %w", out[0].Dims, out[1].Dims, out[2].Dims, onnx.ErrFormat)
	}
	each := 0 // numbers of a mask
	if masked {
		if each = s.Mask.Out * s.Mask.Out; s.Deployed.Masks == MasksImage {
			each = size.H * size.W
		}
		if len(out[3].Floats) < n*each || len(out[3].Floats) != each*len(out[2].Floats) {
			return nil, fmt.Errorf("detect: output masks has shape %v, expected %d numbers of each: %w", out[3].Dims, each, onnx.ErrFormat)
		}
	}
	var found []Detection
	for i := range n {
		class := s.Class(int(out[1].Ints[i]))
		if class < 0 || class >= len(s.Classes) {
			return nil, fmt.Errorf("detect: label %d of %d classes: %w", out[1].Ints[i], len(s.Classes), onnx.ErrFormat)
		}
		f := Detection{Box: box.Box(out[0].Floats[4*i:]), Class: class, Score: out[2].Floats[i]}
		f.Box = d.back(f.Box, size, given, s.Images.Inside)
		if masked {
			d.setMask(&f, out[3].Floats[i*each:][:each], size, given)
		}
		found = append(found, f)
	}
	return found, nil
}

// setMask sets the mask of a detection from an output.
func (d *Model) setMask(f *Detection, values []float32, size, given Size) {
	m := d.spec.Detect.Mask
	if d.spec.Detect.Deployed.Masks == MasksBox {
		f.Mask = Paste(m.Paste, values, m.Out, f.Box, given)
		return
	}
	f.Mask = bitmap(values, m.Paste, size, given)
}

// back scales a box from the network's input to the given image, where the graph has
// not done that.
func (d *Model) back(b box.Box, size, given Size, done bool) box.Box {
	if done {
		return b
	}
	return Unscaled(d.spec.Detect.Images, b, size, given)
}

// Unscaled is a box of the network's input, where the image has a size, in pixels of the
// image as it was given. Detectron2's are clipped.
func Unscaled(i onnx.DetectImages, b box.Box, size, given Size) box.Box {
	x, y := ratios(size, given)
	b = box.Box{b[0] * x, b[1] * y, b[2] * x, b[3] * y}
	if i.Antialias {
		b = b.Clip(float32(given.W), float32(given.H))
	}
	return b
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
