package draw

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// Object is an object to draw.
type Object struct {
	Box    box.Box   // in pixels of the image; what lies outside is drawn at the border
	Mask   *mask.RLE // of the image's size; nil: none
	Class  string    // its name
	Number int       // of the class, written for a name that cannot be drawn
	Score  float32   // 0: none is written
	Kind   Kind
	Bare   bool // without a label
}

// Kind says what an object is, which the style of its lines shows.
type Kind int

const (
	Plain   Kind = iota // a prediction or a true object, by itself: a solid line
	Matched             // a prediction that is right: a thin solid line
	Missed              // a true object that was not predicted: a dashed line, "missed"
	False               // a prediction that is wrong: a dotted line, "false"
	Ignored             // a true object that does not count, such as a crowd: dashes and dots, "ignored"
)

var words = [...]string{Missed: "missed ", False: "false ", Ignored: "ignored "}

// Config says how objects are drawn. The zero value is the default.
type Config struct {
	Colours  Colours // of the classes
	Side     int     // longer side of the picture, in pixels; 0: that of the image, enlarged to at least LeastSide
	NoLabels bool    // draw boxes and masks alone
}

// LeastSide is the number of pixels that the longer side of a picture has at least,
// unless Config.Side says otherwise.
const LeastSide = 400

// Objects draws objects on an image, which it does not change. Objects whose boxes are
// not finite are left out; a mask of another size than the image is an error.
func Objects(img *pixels.Image, objects []Object, c Config) (*image.RGBA, error) {
	if img.Width < 1 || img.Height < 1 || len(img.Pix) != img.Width*img.Height*3 {
		return nil, errors.New("draw: the image is empty")
	}
	for _, o := range objects {
		if m := o.Mask; m != nil && (m.W != img.Width || m.H != img.Height) {
			return nil, fmt.Errorf("draw: a mask of %dx%d for an image of %dx%d", m.W, m.H, img.Width, img.Height)
		}
	}
	p, err := newPicture(img, c.Side)
	if err != nil {
		return nil, err
	}
	shown := make([]item, 0, len(objects))
	for _, o := range objects {
		if at, ok := p.place(o.Box); ok {
			shown = append(shown, item{Object: o, at: at, colour: c.Colours.Of(o.Class)})
		}
	}
	// Small objects are drawn over large ones.
	slices.SortStableFunc(shown, func(a, b item) int { return cmp.Compare(area(b.at), area(a.at)) })
	for _, it := range shown {
		p.mask(it)
	}
	for _, it := range shown {
		p.outline(it)
	}
	if !c.NoLabels {
		if err := p.labels(shown); err != nil {
			return nil, err
		}
	}
	return p.img, nil
}

// item is an object in the picture.
type item struct {
	Object
	at     image.Rectangle // in pixels of the picture
	colour color.RGBA
}

func area(r image.Rectangle) int { return r.Dx() * r.Dy() }

// picture is what is drawn on.
type picture struct {
	img      *image.RGBA
	sx, sy   float64 // pixels of the picture per pixel of the image
	line     int     // width of lines
	fontSize float64
}

// newPicture makes a picture of an image.
func newPicture(img *pixels.Image, side int) (*picture, error) {
	w, h := img.Width, img.Height
	if longer := max(w, h); side > 0 {
		w, h = max(1, (w*side+longer/2)/longer), max(1, (h*side+longer/2)/longer)
	} else if longer < LeastSide {
		f := (LeastSide + longer - 1) / longer
		w, h = w*f, h*f
	}
	p := &picture{img: image.NewRGBA(image.Rect(0, 0, w, h)), sx: float64(w) / float64(img.Width), sy: float64(h) / float64(img.Height)}
	if w < img.Width {
		var r pixels.Resampler
		rgb := make([]uint8, w*h*3)
		if err := r.Apply(rgb, img, pixels.Geometry{Width: w, Height: h, Interpolation: pixels.Bicubic}); err != nil {
			return nil, err
		}
		img = &pixels.Image{Width: w, Height: h, Pix: rgb}
	}
	for y := range h {
		row := img.Pix[y*img.Height/h*img.Width*3:]
		for x := range w {
			from := row[x*img.Width/w*3:]
			copy(p.img.Pix[p.img.PixOffset(x, y):], []uint8{from[0], from[1], from[2], 255})
		}
	}
	// 12 pixels at 640x480, and 69 at 6000x4000.
	p.fontSize = 12 * math.Pow(math.Sqrt(float64(w)*float64(h))/554, .8)
	p.fontSize = max(p.fontSize, min(10, float64(min(w, h))/4))
	p.fontSize = min(p.fontSize, max(6, float64(min(w, h))/4))
	p.line = max(1, int(p.fontSize/6+.5))
	return p, nil
}

// place returns where a box lies in the picture, at least a pixel of it, and false for
// one that is not finite.
func (p *picture) place(b box.Box) (image.Rectangle, bool) {
	for _, v := range b {
		if v-v != 0 {
			return image.Rectangle{}, false
		}
	}
	size := p.img.Rect.Max
	x0, x1 := span(float64(b[0])*p.sx, float64(b[2])*p.sx, size.X)
	y0, y1 := span(float64(b[1])*p.sy, float64(b[3])*p.sy, size.Y)
	return image.Rect(x0, y0, x1, y1), true
}

// span rounds an interval to whole pixels from 0 to n, and to one at least.
func span(a, b float64, n int) (int, int) {
	a, b = min(a, b), max(a, b)
	from := int(math.Round(max(0, min(a, float64(n-1)))))
	to := int(math.Round(max(1, min(b, float64(n)))))
	from = min(from, n-1)
	return from, max(to, from+1)
}

// Pixels returns a picture as an image of package pixels.
func Pixels(m *image.RGBA) *pixels.Image {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := &pixels.Image{Width: w, Height: h, Pix: make([]uint8, 0, w*h*3)}
	for y := range h {
		row := m.Pix[y*m.Stride:]
		for x := range w {
			out.Pix = append(out.Pix, row[4*x:4*x+3]...)
		}
	}
	return out
}

// JPEG writes a picture with quality 90.
func JPEG(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 90}) }

// PNG writes a picture without loss.
func PNG(w io.Writer, m image.Image) error { return png.Encode(w, m) }
