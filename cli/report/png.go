package report

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"math"
	"sync"

	scaled "golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// density is the number of pixels of a PNG per pixel of an SVG, in each direction.
const density = 2

// PNG writes the drawing on white, with twice its width and height in pixels. Text
// is set in the Go fonts, which have Latin, Greek and Cyrillic letters only; SVG
// has no such limit.
func (d *Drawing) PNG(w io.Writer) error {
	c := &canvas{img: image.NewNRGBA(image.Rect(0, 0, int(math.Ceil(d.Width*density)), int(math.Ceil(d.Height*density)))), faces: map[faceKey]font.Face{}}
	draw.Draw(c.img, c.img.Rect, image.NewUniform(inks[paper].light), image.Point{}, draw.Src)
	for _, s := range d.shapes {
		if err := c.draw(s); err != nil {
			return fmt.Errorf("report: png: %w", err)
		}
	}
	return png.Encode(w, c.img)
}

// canvas is an image that shapes are painted on.
type canvas struct {
	img    *image.NRGBA
	raster vector.Rasterizer
	faces  map[faceKey]font.Face
}

type faceKey struct {
	size float64
	bold bool
}

func (c *canvas) draw(s shape) error {
	switch {
	case s.img != nil:
		x, y := int(math.Round(s.points[0]*density)), int(math.Round(s.points[1]*density))
		to := image.Rect(x, y, x+int(math.Round(s.w*density)), y+int(math.Round(s.h*density)))
		scaled.CatmullRom.Scale(c.img, to, s.img, s.img.Bounds(), draw.Over, nil)
	case s.text != "":
		return c.text(s)
	default:
		c.form(s)
	}
	return nil
}

// form paints a polygon, a line or a disc.
func (c *canvas) form(s shape) {
	points := s.points
	closed := s.fill != none
	if len(points) == 2 {
		points, closed = circle(points[0], points[1], s.size), true
	}
	if s.fill != none {
		c.fill(points, s.fill)
	}
	if s.stroke == none {
		return
	}
	if closed {
		points = append(append([]float64(nil), points...), points[:2]...)
	}
	dash, gap := math.Inf(1), 0.0
	if s.dashed {
		dash, gap = 5, 4
	}
	for i := 2; i < len(points); i += 2 {
		c.segment(points[i-2:i+2], s.width, dash, gap, s.stroke)
		if i+2 < len(points) || closed {
			c.fill(circle(points[i], points[i+1], s.width/2), s.stroke) // a round join
		}
	}
}

func circle(x, y, r float64) []float64 {
	const corners = 24
	p := make([]float64, 0, 2*corners)
	for i := range corners {
		a := 2 * math.Pi * float64(i) / corners
		p = append(p, x+r*math.Cos(a), y+r*math.Sin(a))
	}
	return p
}

// segment strokes a straight line, dashed unless dash is infinite.
func (c *canvas) segment(p []float64, width, dash, gap float64, colour ink) {
	dx, dy := p[2]-p[0], p[3]-p[1]
	length := math.Hypot(dx, dy)
	if length == 0 {
		return
	}
	dx, dy = dx/length, dy/length
	ox, oy := -dy*width/2, dx*width/2
	for from := 0.0; from < length; from += dash + gap {
		to := min(length, from+dash)
		x0, y0, x1, y1 := p[0]+dx*from, p[1]+dy*from, p[0]+dx*to, p[1]+dy*to
		c.fill([]float64{x0 + ox, y0 + oy, x1 + ox, y1 + oy, x1 - ox, y1 - oy, x0 - ox, y0 - oy}, colour)
	}
}

// fill paints a polygon, within the smallest rectangle that holds it.
func (c *canvas) fill(points []float64, colour ink) {
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := 0; i < len(points); i += 2 {
		x, y := points[i]*density, points[i+1]*density
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
	}
	box := image.Rect(int(math.Floor(x0)), int(math.Floor(y0)), int(math.Ceil(x1))+1, int(math.Ceil(y1))+1)
	c.raster.Reset(box.Dx(), box.Dy())
	for i := 0; i < len(points); i += 2 {
		x, y := float32(points[i]*density-float64(box.Min.X)), float32(points[i+1]*density-float64(box.Min.Y))
		if i == 0 {
			c.raster.MoveTo(x, y)
		} else {
			c.raster.LineTo(x, y)
		}
	}
	c.raster.ClosePath()
	c.raster.Draw(c.img, box, image.NewUniform(inks[colour].light), image.Point{})
}

// text writes a line of text. One that is turned is drawn on a mask, which is then
// rotated.
func (c *canvas) text(s shape) error {
	face, err := c.face(s.size*density, s.bold)
	if err != nil {
		return err
	}
	width, height, ascent := font.MeasureString(face, s.text).Ceil()+1, face.Metrics().Height.Ceil()+1, face.Metrics().Ascent.Ceil()
	mask := image.NewAlpha(image.Rect(0, 0, width, height))
	f := font.Drawer{Dst: mask, Src: image.Opaque, Face: face, Dot: fixed.P(0, ascent)}
	f.DrawString(s.text)
	x, y := int(math.Round(s.points[0]*density)), int(math.Round(s.points[1]*density))
	shift := [...]int{start: 0, middle: width / 2, end: width}[s.anchor]
	at := image.Pt(x-shift, y-ascent)
	if s.turned {
		mask, at = turned(mask), image.Pt(x-ascent, y+shift-width)
	}
	draw.DrawMask(c.img, mask.Rect.Add(at), image.NewUniform(inks[s.fill].light), image.Point{}, mask, image.Point{}, draw.Over)
	return nil
}

// turned rotates a mask by a quarter turn to the left.
func turned(m *image.Alpha) *image.Alpha {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	t := image.NewAlpha(image.Rect(0, 0, h, w))
	for y := range h {
		for x := range w {
			t.SetAlpha(y, w-1-x, m.AlphaAt(x, y))
		}
	}
	return t
}

var fonts = sync.OnceValues(func() (f [2]*opentype.Font, err error) {
	if f[0], err = opentype.Parse(goregular.TTF); err == nil {
		f[1], err = opentype.Parse(gobold.TTF)
	}
	return f, err
})

func (c *canvas) face(size float64, bold bool) (font.Face, error) {
	key := faceKey{size, bold}
	if f, ok := c.faces[key]; ok {
		return f, nil
	}
	parsed, err := fonts()
	if err != nil {
		return nil, err
	}
	f := parsed[0]
	if bold {
		f = parsed[1]
	}
	c.faces[key], err = opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
	return c.faces[key], err
}
