package draw

import (
	"image"
	"image/color"
	"math"
)

// luminance is the relative luminance of a colour, 0 to 1 (WCAG 2).
func luminance(c color.RGBA) float64 {
	linear := func(v uint8) float64 {
		if x := float64(v) / 255; x > .04045 {
			return math.Pow((x+.055)/1.055, 2.4)
		} else {
			return x / 12.92
		}
	}
	return .2126*linear(c.R) + .7152*linear(c.G) + .0722*linear(c.B)
}

// blend mixes a colour into a pixel with an opacity of 0 to 255.
func (p *picture) blend(x, y int, c color.RGBA, opacity int) {
	px := p.img.Pix[p.img.PixOffset(x, y):]
	for i, v := range [3]uint8{c.R, c.G, c.B} {
		px[i] = uint8((int(px[i])*(255-opacity) + int(v)*opacity + 127) / 255)
	}
}

// fill paints a rectangle, as far as it is in the picture.
func (p *picture) fill(r image.Rectangle, c color.RGBA, opacity int) {
	r = r.Intersect(p.img.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p.blend(x, y, c, opacity)
		}
	}
}

// style is a pattern of strokes along a line, in widths of the line: a stroke, a gap,
// a stroke, a gap. Nil is a solid line.
type style []float64

var styles = [...]style{Missed: {4, 3, 4, 3}, False: {1, 2, 1, 2}, Ignored: {5, 2, 1, 2}}

const (
	casing        = 150 // opacity of the dark edge of lines, which sets them off from a picture of the same colour
	thickness     = 1.5 // of lines with gaps, against solid ones
	maskOpacity   = 90
	matchedFactor = .6
)

// outline draws the box of an object. The line's outer edge is the edge of the box; it
// grows inwards, and outwards where the box is too small for it.
func (p *picture) outline(it item) {
	width := p.line
	var s style
	if int(it.Kind) < len(styles) {
		s = styles[it.Kind]
	}
	switch {
	case it.Kind == Matched:
		width = max(1, int(float64(width)*matchedFactor))
	case s != nil:
		width = max(2, int(float64(width)*thickness))
	case it.Mask != nil: // whose edge is drawn as well
		width = max(1, width/2)
	}
	r := it.at
	if grow := 3*width - r.Dx(); grow > 0 {
		r.Min.X, r.Max.X = r.Min.X-grow/2, r.Max.X+grow-grow/2
	}
	if grow := 3*width - r.Dy(); grow > 0 {
		r.Min.Y, r.Max.Y = r.Min.Y-grow/2, r.Max.Y+grow-grow/2
	}
	var strokes []image.Rectangle
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, r.Min.Y+width)},
		{image.Pt(r.Min.X, r.Max.Y-width), r.Max},
		{image.Pt(r.Min.X, r.Min.Y+width), image.Pt(r.Min.X+width, r.Max.Y-width)},
		{image.Pt(r.Max.X-width, r.Min.Y+width), image.Pt(r.Max.X, r.Max.Y-width)},
	} {
		strokes = append(strokes, s.parts(side, width)...)
	}
	dark := casing
	if width == 1 {
		dark = casing / 2 // or little of the colour would be left
	}
	for _, part := range strokes {
		p.fill(part.Inset(-max(1, width/3)), color.RGBA{A: 255}, dark)
	}
	for _, part := range strokes {
		p.fill(part, it.colour, 255)
	}
}

// parts returns the strokes of a straight line, which begins and ends with one.
func (s style) parts(line image.Rectangle, width int) []image.Rectangle {
	if s == nil || line.Empty() {
		return []image.Rectangle{line}
	}
	flat := line.Dx() >= line.Dy()
	length := float64(line.Dy())
	if flat {
		length = float64(line.Dx())
	}
	unit := float64(width)
	period := (s[0] + s[1] + s[2] + s[3]) * unit
	first := s[0] * unit
	// The pattern is stretched so that a whole number of periods and a first stroke fit.
	stretch := 1.0
	if n := math.Round((length - first) / period); n >= 1 {
		stretch = length / (n*period + first)
	}
	var parts []image.Rectangle
	for at, i := 0.0, 0; at < length-.5; i++ {
		step := s[i%4] * unit * stretch
		if i%2 == 0 {
			from, to := int(math.Round(at)), int(math.Round(min(length, at+step)))
			part := line
			if flat {
				part.Min.X, part.Max.X = line.Min.X+from, line.Min.X+to
			} else {
				part.Min.Y, part.Max.Y = line.Min.Y+from, line.Min.Y+to
			}
			parts = append(parts, part)
		}
		at += step
	}
	return parts
}
