package augment

import (
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// Policy is what is done to a training image, in this order: a crop, a flip, a
// jitter of its colours. The zero value is the evaluation transform.
type Policy struct {
	Resized *ResizedCrop // one crop or the other; nil both: the evaluation transform's
	Padded  *PaddedCrop
	Flip    float64 // probability of a mirrored image (RandomHorizontalFlip)
	Jitter  Jitter
}

// Check says what of a policy cannot be done.
func (p Policy) Check() error {
	if p.Resized != nil && p.Padded != nil {
		return errors.New("augment: a resized crop and a padded crop, expected one of them")
	}
	if !(p.Flip >= 0 && p.Flip <= 1) {
		return fmt.Errorf("augment: probability of a flip is %v, expected 0 to 1", p.Flip)
	}
	if p.Resized != nil {
		if err := p.Resized.check(); err != nil {
			return err
		}
	}
	if p.Padded != nil {
		if err := p.Padded.check(); err != nil {
			return err
		}
	}
	return p.Jitter.check()
}

// Random reports whether an image looks different from epoch to epoch.
func (p Policy) Random() bool { return p != (Policy{}) }

// startsAs reports whether both policies draw from the same prepared images.
func (p Policy) startsAs(q Policy) bool { return p.Resized == q.Resized && p.Padded == q.Padded }

// prepare is the part of a policy that is the same in every epoch: it brings a
// decoded image to what draw starts from, which may be src itself. What is not
// src is in into.
func (p Policy) prepare(resampler *pixels.Resampler, into, src *pixels.Image, g pixels.Geometry) (*pixels.Image, error) {
	switch {
	case p.Resized != nil && g.PreResize == 0:
		return src, nil
	case p.Resized != nil:
		g = pixels.Geometry{Width: g.PreResize, Height: g.PreResize, Interpolation: g.Interpolation}
		return into, resampler.Resize(into, src, g)
	case p.Padded != nil:
		return into, resampler.Resize(into, src, g)
	}
	*into = pixels.Image{Width: g.Width, Height: g.Height, Pix: grown(into.Pix, g.Width*g.Height*3)}
	return into, resampler.Apply(into.Pix, src, g)
}

// draw fills dst, the input size, with a prepared image.
func (p Policy) draw(r numbers, resampler *pixels.Resampler, dst []uint8, src *pixels.Image, g pixels.Geometry) error {
	switch {
	case p.Resized != nil:
		box := p.Resized.box(r, src.Width, src.Height)
		if err := resampler.ResizedCrop(dst, g.Width, g.Height, src, box, g.Interpolation); err != nil {
			return err
		}
	case p.Padded != nil:
		p.Padded.crop(r, dst, g.Width, g.Height, src)
	default:
		copy(dst, src.Pix)
	}
	if p.Flip > 0 && r.Float32() < float32(p.Flip) {
		pixels.Flip(dst, g.Width)
	}
	p.Jitter.apply(r, dst)
	return nil
}

func grown(b []uint8, n int) []uint8 {
	if cap(b) < n {
		return make([]uint8, n)
	}
	return b[:n]
}
