package foreign

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// Ways in which an image of any size becomes the network's input.
const (
	// Letterbox scales the image to fit, and pads it on both sides with grey, 114.
	Letterbox = "letterbox"
	// Corner scales the image to fit, and pads it right and below with grey, 114.
	Corner = "corner"
	// Stretch resizes the image whatever its aspect ratio.
	Stretch = "stretch"
	// Shortest brings the shorter side to a size, unless the longer one would become too
	// long.
	Shortest = "shortest"
	// Whole leaves the image as it is.
	Whole = "whole"
)

// Filters of a resize.
const (
	// OpenCV is its INTER_LINEAR: two pixels in each direction, whatever the scale.
	OpenCV = "opencv"
	// Pillow is its bilinear filter, which is antialiased.
	Pillow = "pillow"
	// PyTorch is its interpolate in float32, two pixels in each direction.
	PyTorch = "pytorch"
)

// Fit says how an image of any size becomes the network's input.
type Fit struct {
	Way    string `json:"way"`
	Filter string `json:"filter,omitempty"`

	// Size is height and width of the input. Where Open is set, the graph takes others,
	// too. 0 with Shortest and Whole.
	Size     [2]int `json:"size"`
	Open     bool   `json:"open"`
	Multiple int    `json:"multiple,omitempty"` // of which sizes of Letterbox are
	Rect     bool   `json:"rect,omitempty"`     // Letterbox pads to Multiple only, not to Size

	MinSize int `json:"min_size,omitempty"` // of Shortest
	MaxSize int `json:"max_size,omitempty"`
}

// sized is the Fit to inputs of another size: a letterbox is made of a multiple of the
// stride, as Ultralytics does, and what would keep the aspect ratio does no longer.
func (f Fit) sized(size [2]int) (Fit, error) {
	switch {
	case size == f.Size:
		return f, nil
	case !f.Open || f.Way == Whole:
		return f, fmt.Errorf("an input size of %dx%d is asked for; %s: %w", size[0], size[1], f, onnx.ErrSpec)
	case f.Way == Shortest:
		f.Way = Stretch
	case f.Way == Letterbox:
		for i, s := range size {
			size[i] = (s + f.Multiple - 1) / f.Multiple * f.Multiple
		}
	}
	f.Size = size
	return f, nil
}

// placed is an image within the network's input.
type placed struct {
	width, height int // of the input
	w, h          int // of the image in it
	left, top     int // where it begins
	pix           []uint8
	floats        []float32 // instead of pix: values from 0 to 255, of the filter PyTorch

	from *pixels.Image
}

// grey is the value of padding.
const grey = 114

// place fits an image.
func (f Fit) place(r *pixels.Resampler, img *pixels.Image) (*placed, error) {
	p := f.geometry(img.Width, img.Height)
	p.from = img
	if p.w == img.Width && p.h == img.Height {
		p.pix = img.Pix
	} else if f.Filter == PyTorch {
		p.floats = resizeFloats(img, p.w, p.h)
		return p, nil
	} else {
		p.pix = make([]uint8, p.w*p.h*3)
		if f.Filter == Pillow {
			if err := r.Apply(p.pix, img, pixels.Geometry{Width: p.w, Height: p.h}); err != nil {
				return nil, err
			}
		} else {
			resizeLinear(p.pix, p.w, p.h, img.Pix, img.Width, img.Height)
		}
	}
	p.pad()
	return p, nil
}

// geometry is where an image of w x h will be, without its pixels.
func (f Fit) geometry(w, h int) *placed {
	switch f.Way {
	case Letterbox:
		return f.letterbox(w, h)
	case Corner:
		r := min(float64(f.Size[0])/float64(h), float64(f.Size[1])/float64(w))
		return &placed{width: f.Size[1], height: f.Size[0], w: max(1, int(float64(w)*r)), h: max(1, int(float64(h)*r))}
	case Stretch:
		return &placed{width: f.Size[1], height: f.Size[0], w: f.Size[1], h: f.Size[0]}
	case Shortest:
		w, h = f.shortest(w, h)
	}
	return &placed{width: w, height: h, w: w, h: h}
}

// letterbox is the geometry of Ultralytics' LetterBox. Python rounds halves to even.
func (f Fit) letterbox(w, h int) *placed {
	r := min(float64(f.Size[0])/float64(h), float64(f.Size[1])/float64(w))
	p := &placed{w: max(1, int(math.RoundToEven(float64(w)*r))), h: max(1, int(math.RoundToEven(float64(h)*r)))}
	dw, dh := f.Size[1]-p.w, f.Size[0]-p.h
	if f.Rect {
		dw, dh = dw%f.Multiple, dh%f.Multiple
	}
	p.width, p.height = p.w+dw, p.h+dh
	p.left, p.top = int(math.RoundToEven(float64(dw)/2-.1)), int(math.RoundToEven(float64(dh)/2-.1))
	return p
}

// shortest is the size to which transformers resizes images for DETR.
func (f Fit) shortest(w, h int) (int, int) {
	short, long, size := float64(min(w, h)), float64(max(w, h)), f.MinSize
	raw := float64(size)
	if f.MaxSize > 0 && long/short*float64(size) > float64(f.MaxSize) {
		raw = float64(f.MaxSize) * short / long
		size = int(math.RoundToEven(raw))
	}
	if min(w, h) == size {
		return w, h
	}
	if w < h {
		return max(1, size), max(1, int(raw*float64(h)/float64(w)))
	}
	return max(1, int(raw*float64(w)/float64(h))), max(1, size)
}

// pad puts the image into an input that is larger.
func (p *placed) pad() {
	if p.w == p.width && p.h == p.height {
		return
	}
	out := make([]uint8, p.width*p.height*3)
	for i := range out {
		out[i] = grey
	}
	for y := range p.h {
		copy(out[((p.top+y)*p.width+p.left)*3:], p.pix[y*p.w*3:][:p.w*3])
	}
	p.pix = out
}

// resizeFloats resizes each channel by interpolate.
func resizeFloats(img *pixels.Image, w, h int) []float32 {
	plane, small, out := make([]float32, img.Width*img.Height), make([]float32, w*h), make([]float32, w*h*3)
	for c := range 3 {
		for i := range plane {
			plane[i] = float32(img.Pix[3*i+c])
		}
		interpolate(small, w, h, plane, img.Width, img.Height)
		for i, v := range small {
			out[3*i+c] = v
		}
	}
	return out
}
