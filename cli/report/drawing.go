package report

import (
	"image"
	"image/color"
	"math"
)

// Drawing is a drawing of Chart, BarChart, ContactSheet or Stack, to be written by
// SVG or PNG. Its size is in pixels of the SVG.
type Drawing struct {
	Title         string
	Width, Height float64
	shapes        []shape // in the order in which they are painted
}

// shape is a polygon or line (of several points), a disc (of one point and a size),
// a text, or an image.
type shape struct {
	points       []float64 // x, y, x, y ...
	fill, stroke ink
	width        float64 // of the stroke
	dashed       bool
	size         float64 // of a text, or the radius of a disc
	w, h         float64 // of an image
	text         string
	bold, turned bool   // a turned text reads upwards
	anchor       anchor // of a text
	img          image.Image
	tooltip      string // shown, in an SVG, when the shape is pointed at
}

// anchor says which part of a text lies at its point.
type anchor int

const (
	start anchor = iota
	middle
	end
)

// ink is a colour named by its purpose, so that a page can give it another value in
// dark mode. The zero value is no colour.
type ink int

const (
	none ink = iota
	paper
	black // text
	grey  // secondary text
	rule  // axes and grids
	good
	bad
	first // the first colour of groups
)

// inks are the colours in light and in dark mode. Those of groups are chosen to be
// distinguishable with any colour vision, as far as ten colours can be.
var inks = []struct{ light, dark color.NRGBA }{
	paper: {rgb(0xffffff), rgb(0x15191e)}, black: {rgb(0x1f2933), rgb(0xe6eaef)}, grey: {rgb(0x52606d), rgb(0xa5b0bc)}, rule: {rgb(0xd5dbe2), rgb(0x3a444e)},
	good: {rgb(0x007f5f), rgb(0x2fc79a)}, bad: {rgb(0xd55e00), rgb(0xff8a3d)},
	first: {rgb(0x0072b2), rgb(0x4ea5dd)}, {rgb(0xd55e00), rgb(0xff8a3d)}, {rgb(0x009e73), rgb(0x2fc79a)}, {rgb(0xaa4499), rgb(0xd07cc0)}, {rgb(0xb8860b), rgb(0xe0b040)},
	{rgb(0x56b4e9), rgb(0x8fd0f5)}, {rgb(0xcc79a7), rgb(0xf0a8cc)}, {rgb(0x555f6b), rgb(0xa5b0bc)}, {rgb(0x882255), rgb(0xd46a95)}, {rgb(0x7a8b00), rgb(0xb5c63c)},
}

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 255}
}

// series returns the colour and the marker of the i-th group of points. Neighbours
// differ in both; pairs repeat after forty groups.
func series(i int) (ink, marker) {
	colours := len(inks) - int(first)
	return first + ink(i%colours), marker((i + i/(2*colours)) % markers)
}

// marker is the shape of a point.
type marker int

const (
	disc marker = iota
	square
	triangle
	diamond
	markers = iota // how many there are
)

func (d *Drawing) add(s shape) { d.shapes = append(d.shapes, s) }

func (d *Drawing) line(c ink, width float64, points ...float64) {
	d.add(shape{points: points, stroke: c, width: width})
}

func (d *Drawing) rect(c ink, x, y, w, h float64, tooltip string) {
	d.add(shape{points: []float64{x, y, x + w, y, x + w, y + h, x, y + h}, fill: c, tooltip: tooltip})
}

func (d *Drawing) label(c ink, size, x, y float64, a anchor, text string) {
	d.write(shape{points: []float64{x, y}, fill: c, size: size, anchor: a, text: text})
}

// write adds a text unless it is empty.
func (d *Drawing) write(s shape) {
	if s.text != "" {
		d.add(s)
	}
}

func (d *Drawing) heading(x float64) {
	d.write(shape{points: []float64{x, 20}, fill: black, size: titleSize, bold: true, text: d.Title})
}

// mark draws a point: filled, or as an outline if it is hollow.
func (d *Drawing) mark(m marker, c ink, hollow bool, x, y, r float64, tooltip string) {
	s := shape{fill: c, tooltip: tooltip}
	if hollow {
		s.fill, s.stroke, s.width = paper, c, r/2
	}
	if m == disc {
		s.points, s.size = []float64{x, y}, r
	} else {
		s.points = corners(m, x, y, r)
	}
	d.add(s)
}

// corners returns the corners of a marker with about the area of a disc of radius r.
func corners(m marker, x, y, r float64) []float64 {
	n, turn, size := 4, math.Pi/4, 1.25*r
	switch m {
	case triangle:
		n, turn, size = 3, -math.Pi/2, 1.4*r
	case diamond:
		turn = 0
	}
	var p []float64
	for i := range n {
		a := turn + 2*math.Pi*float64(i)/float64(n)
		p = append(p, x+size*math.Cos(a), y+size*math.Sin(a))
	}
	return p
}

// Shorten cuts a text to at most so many runes, the last of which is then an ellipsis.
func Shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
