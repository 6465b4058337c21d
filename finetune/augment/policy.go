package augment

import (
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// Policy is how training images are augmented: a crop, then a horizontal flip, then
// colour jitter. The zero value is the evaluation transform.
type Policy struct {
	Resized *ResizedCrop // at most one of the crops; both nil: the evaluation transform's
	Padded  *PaddedCrop
	Flip    float64 // probability of a horizontal flip (RandomHorizontalFlip)
	Jitter  Jitter
}

// Check returns an error if a setting of the policy is out of range.
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

// Random reports whether an image may differ from epoch to epoch.
func (p Policy) Random() bool { return p != (Policy{}) }

// preparesLike reports whether two policies start from the same prepared images.
func (p Policy) preparesLike(q Policy) bool { return p.Resized == q.Resized && p.Padded == q.Padded }

// prepare does the part of a policy that is the same in every epoch. It returns the
// prepared image that draw starts from: src itself, or into.
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
	*into = pixels.Image{Width: g.Width, Height: g.Height, Pix: resized(into.Pix, g.Width*g.Height*3)}
	return into, resampler.Apply(into.Pix, src, g)
}

// draw augments a prepared image into dst, [H,W,3] of the input size.
func (p Policy) draw(r randomSource, resampler *pixels.Resampler, dst []uint8, src *pixels.Image, g pixels.Geometry) error {
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

// resized returns a buffer of n bytes, b itself if it is large enough.
func resized(b []uint8, n int) []uint8 {
	if cap(b) < n {
		return make([]uint8, n)
	}
	return b[:n]
}
