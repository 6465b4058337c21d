package pixels

import (
	"fmt"
	"math"
)

// Interpolation is the filter of a resize. When an image shrinks, the filter
// widens by the same factor, so that both are antialiased (as Pillow's are).
type Interpolation int

const (
	Bilinear Interpolation = iota // the default
	Bicubic                       // Keys' kernel with a = -0.5
	Box                           // the mean of the pixels that a new one covers
)

// Geometry says how an image of any size is brought to Width x Height.
type Geometry struct {
	Width, Height int  // of the result
	CropCenter    bool // resize the shorter side to Resize, then crop the centre; otherwise resize to Width x Height, ignoring the aspect ratio
	Resize        int  // length of the shorter side before the crop; read only with CropCenter
	PreResize     int  // first resize to PreResize x PreResize, which leaves the detail of that resolution; 0: don't
	Interpolation Interpolation
}

// Resampler resizes images. It keeps tables of weights and buffers between calls;
// one goroutine may use it at a time. The zero value is ready for use.
type Resampler struct {
	tables map[tableKey]*table
	rows   []uint8
	sums   []int32
	pre    Image
	box    Image
}

// Apply brings src to a geometry: dst, of g.Width*g.Height*3 bytes, receives the
// pixels. Only pixels inside the crop are computed. A crop larger than the resized
// image is padded with black on all sides. src is not changed.
func (r *Resampler) Apply(dst []uint8, src *Image, g Geometry) error {
	if len(dst) != g.Width*g.Height*3 {
		return fmt.Errorf("pixels: destination has %d bytes, expected %d for %dx%d", len(dst), g.Width*g.Height*3, g.Width, g.Height)
	}
	if src.Width < 1 || src.Height < 1 || len(src.Pix) != src.Width*src.Height*3 {
		return fmt.Errorf("pixels: source of %dx%d has %d bytes", src.Width, src.Height, len(src.Pix))
	}
	if n := g.PreResize; n > 0 {
		r.pre.resize(n, n)
		r.window(r.pre.Pix, n, n, src, n, n, 0, 0, g.Interpolation)
		src = &r.pre
	}
	if !g.CropCenter {
		r.window(dst, g.Width, g.Height, src, g.Width, g.Height, 0, 0, g.Interpolation)
		return nil
	}
	w, h := g.shorter(src.Width, src.Height)
	r.window(dst, g.Width, g.Height, src, w, h, offset(w, g.Width), offset(h, g.Height), g.Interpolation)
	return nil
}

// shorter is the size to which torchvision's Resize(int) brings an image.
func (g Geometry) shorter(w, h int) (int, int) {
	if w <= h {
		return g.Resize, max(1, int(float64(g.Resize*h)/float64(w)))
	}
	return max(1, int(float64(g.Resize*w)/float64(h))), g.Resize
}

// offset is where a centre crop begins, rounded half to even as Python does. It is
// negative if the image is smaller than the crop and has to be padded.
func offset(size, crop int) int {
	if crop > size {
		return -((crop - size) / 2)
	}
	return int(math.RoundToEven(float64(size-crop) / 2))
}
