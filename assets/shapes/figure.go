package shapes

import (
	"math"
	"math/rand/v2"
)

// figure is a shape in an image. Coordinates are fractions of the image's shorter side,
// and (0, 0) is the middle of the image.
type figure struct {
	class          int
	x, y           float64 // its middle
	scale          float64 // of the unit shape
	sin, cos       float64 // of its rotation
	squeeze, shear float64
	colour         [3]float64
	shade          float64 // how much lighter the lit side is
	lightX, lightY float64 // where the light comes from
}

// has reports whether a point lies inside the figure: the unit shape, squeezed a little,
// then rotated, scaled and moved.
func (f *figure) has(x, y float64) bool {
	x, y = x-f.x, y-f.y
	u, v := (f.cos*x+f.sin*y)/f.scale, (-f.sin*x+f.cos*y)/f.scale
	return outlines[f.class](u*f.squeeze+f.shear*v, v/f.squeeze)
}

// reach is the distance from the middle of a figure of scale 1 beyond which it has no
// points: the corners of the square are farthest out, at 1.104, and squeezing and shearing
// bring them to at most 1.4.
const reach = 1.5

// at is the colour of the figure at a point.
func (f *figure) at(x, y float64) (c [3]float64) {
	lit := f.shade * ((x-f.x)*f.lightX + (y-f.y)*f.lightY) / f.scale
	for k := range c {
		c[k] = f.colour[k] + lit
	}
	return c
}

// ground is the background of an image.
type ground struct {
	lightness    float64
	tint         [3]float64
	rampX, rampY float64
	vignette     float64
}

func (g *ground) at(x, y float64) float64 {
	return g.lightness + g.rampX*x + g.rampY*y - g.vignette*math.Hypot(x, y)*0.5
}

// random draws what varies from image to image. The order of its draws decides what an
// image of a seed looks like.
type random struct{ *rand.Rand }

func (r random) between(a, b float64) float64 { return a + (b-a)*r.Float64() }

// pose draws all of a figure but its place and its look.
func (r random) pose(class int, smallest, largest float64) figure {
	f := figure{class: class}
	angle := r.between(0, 2*math.Pi)
	f.sin, f.cos = math.Sincos(angle)
	f.scale = r.between(smallest, largest)
	f.squeeze, f.shear = r.between(0.82, 1.2), r.between(-0.18, 0.18)
	return f
}

// look draws the colour and the shading of a figure.
func (r random) look(f *figure, background float64) {
	f.colour = r.colour(background)
	light := r.between(0, 2*math.Pi)
	f.shade = r.between(0.12, 0.26)
	f.lightY, f.lightX = math.Sincos(light)
}

func (r random) ground() (g ground) {
	g.lightness = r.between(0.42, 0.85)
	g.tint = [3]float64{1 + r.between(-0.05, 0.05), 1, 1 + r.between(-0.07, 0.07)}
	g.rampX, g.rampY, g.vignette = r.between(-0.17, 0.17), r.between(-0.17, 0.17), r.between(0.08, 0.4)
	return g
}

// colour draws a colour whose lightness differs clearly from the background's.
func (r random) colour(background float64) [3]float64 {
	for {
		hue, saturation, value := r.Float64(), 0.1+0.55*r.Float64(), 0.15+0.85*r.Float64()
		var c [3]float64
		for k := range 3 {
			h := math.Mod(hue*6+float64(6-2*k), 6)
			c[k] = value * (1 - saturation*(1-min(1, max(0, math.Abs(h-3)-1))))
		}
		if luminance := 0.299*c[0] + 0.587*c[1] + 0.114*c[2]; math.Abs(luminance-background) > 0.2 {
			return c
		}
	}
}
