package train

import (
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// cached is an image that is kept between epochs, in the smallest form from which the
// same pixels follow.
type cached struct {
	image  *pixels.Image // decoded, and perhaps scaled
	planes []float32     // scaled, [3,H,W], RGB in [0,1]; nil: image is there
}

// scaled is an image in the form to keep where it is always scaled to one size. What
// is interpolated is no longer of 8 bits.
func (c *cached) scaled(l *loader, d onnx.DetectImages, to detect.Size) (*cached, error) {
	given := len(c.image.Pix)
	switch {
	case d.Antialias && 3*to.H*to.W < given:
		small := &pixels.Image{}
		err := l.resampler.Resize(small, c.image, pixels.Geometry{Width: to.W, Height: to.H})
		return &cached{image: small}, err
	case !d.Antialias && 4*3*to.H*to.W < given:
		planes, err := detect.Resize(d, c.image, to, false)
		return &cached{planes: planes}, err
	}
	return c, nil
}

// bytes is the memory of an image.
func (c *cached) bytes() int64 {
	if c.planes != nil {
		return 4 * int64(len(c.planes))
	}
	return int64(len(c.image.Pix))
}

// keep copies an image of the set to the cache if there is room. Nothing is evicted,
// as every epoch needs every image once.
func (d *Data) keep(at int, c *cached) {
	n := c.bytes()
	if d.cacheRoom.Add(-n) < 0 {
		d.cacheRoom.Add(n)
		return
	}
	own := &cached{planes: c.planes}
	if c.image != nil {
		own.image = &pixels.Image{Width: c.image.Width, Height: c.image.Height, Pix: slices.Clone(c.image.Pix)}
	}
	if !d.cache[at].CompareAndSwap(nil, own) {
		d.cacheRoom.Add(n)
	}
}
