// Package shapes draws labelled images for demos and tests: a class is one of ten
// plain shapes. Shading, colour, rotation, a mild distortion, sensor noise and a
// softly graded background vary, so that classes are easy to tell apart by outline
// and by nothing else.
//
//	img := shapes.Draw(class, seed, shapes.Config{}) // 96x96
//	name := shapes.Names[class]
//
// The command in shapes/draw writes a whole data set into class folders.
package shapes

import (
	"image"
	"math"
	"math/rand/v2"
)

// Names are the names of the classes, in the order of their indices.
var Names = []string{"arrow", "crescent", "cross", "ellipse", "heart", "hexagon", "ring", "square", "star", "triangle"}

// Config says how images are drawn. The zero value is the default.
type Config struct {
	Size  int     // width and height in pixels; 0: 96
	Noise float64 // standard deviation of additional Gaussian noise, as a fraction of full scale
}

const (
	sensor  = 3.0 / 255 // standard deviation of the noise that every image has
	samples = 3         // per side, of each pixel's grid of samples
)

// Draw draws an image of a class, an index into Names. The same class, seed and
// configuration give the same image.
func Draw(class int, seed uint64, c Config) *image.NRGBA {
	size := c.Size
	if size == 0 {
		size = 96
	}
	r := rand.New(rand.NewPCG(seed, uint64(class)))
	between := func(a, b float64) float64 { return a + (b-a)*r.Float64() }

	// Where the shape lies in the image: the unit shape is squeezed a little, then
	// rotated, scaled and moved.
	angle, scale := between(0, 2*math.Pi), between(0.24, 0.37)
	squeeze, shear := between(0.82, 1.2), between(-0.18, 0.18)
	cx, cy := between(-0.09, 0.09), between(-0.09, 0.09)
	sin, cos := math.Sincos(angle)
	inside := outlines[class]
	mask := func(x, y float64) bool {
		x, y = x-cx, y-cy
		u, v := (cos*x+sin*y)/scale, (-sin*x+cos*y)/scale
		return inside(u*squeeze+shear*v, v/squeeze)
	}

	back := between(0.42, 0.85)
	backTint := [3]float64{1 + between(-0.05, 0.05), 1, 1 + between(-0.07, 0.07)}
	rampX, rampY, vignette := between(-0.17, 0.17), between(-0.17, 0.17), between(0.08, 0.4)
	front := colour(r, back)
	light, shade := between(0, 2*math.Pi), between(0.12, 0.26)
	lightY, lightX := math.Sincos(light)

	m := image.NewNRGBA(image.Rect(0, 0, size, size))
	for py := range size {
		for px := range size {
			covered := 0
			for sy := range samples {
				for sx := range samples {
					if mask((float64(px)+(float64(sx)+0.5)/samples)/float64(size)-0.5, (float64(py)+(float64(sy)+0.5)/samples)/float64(size)-0.5) {
						covered++
					}
				}
			}
			x, y := (float64(px)+0.5)/float64(size)-0.5, (float64(py)+0.5)/float64(size)-0.5
			alpha := float64(covered) / (samples * samples)
			ground := back + rampX*x + rampY*y - vignette*math.Hypot(x, y)*0.5
			lit := shade * ((x-cx)*lightX + (y-cy)*lightY) / scale
			grain := sensor * r.NormFloat64()
			o := m.Pix[m.PixOffset(px, py):]
			for k := range 3 {
				v := (1-alpha)*ground*backTint[k] + alpha*(front[k]+lit) + grain
				if c.Noise > 0 {
					v += c.Noise * r.NormFloat64()
				}
				o[k] = uint8(math.Round(255 * min(1, max(0, v))))
			}
			o[3] = 255
		}
	}
	return m
}

// colour draws a colour whose lightness differs clearly from the background's.
func colour(r *rand.Rand, back float64) [3]float64 {
	for {
		hue, saturation, value := r.Float64(), 0.1+0.55*r.Float64(), 0.15+0.85*r.Float64()
		var c [3]float64
		for k := range 3 {
			h := math.Mod(hue*6+float64(6-2*k), 6)
			c[k] = value * (1 - saturation*(1-min(1, max(0, math.Abs(h-3)-1))))
		}
		if luminance := 0.299*c[0] + 0.587*c[1] + 0.114*c[2]; math.Abs(luminance-back) > 0.2 {
			return c
		}
	}
}

// outlines say, for each class, whether a point lies inside its unit shape.
var outlines = []func(x, y float64) bool{
	polygon(-1, -0.28, 0.1, -0.28, 0.1, -0.75, 1, 0, 0.1, 0.75, 0.1, 0.28, -1, 0.28),
	func(x, y float64) bool { return math.Hypot(x, y) < 0.95 && math.Hypot(x-0.45, y) > 0.75 },
	func(x, y float64) bool {
		x, y = math.Abs(x), math.Abs(y)
		return x < 0.95 && y < 0.3 || y < 0.95 && x < 0.3
	},
	func(x, y float64) bool { return x*x+y*y*2.9 < 1 },
	func(x, y float64) bool {
		x, y = x*1.15, -y*1.15+0.1
		a := x*x + y*y - 0.55
		return a*a*a-x*x*y*y*y*1.6 < 0
	},
	regular(6),
	func(x, y float64) bool { d := math.Hypot(x, y); return d < 0.92 && d > 0.5 },
	polygon(-0.78, -0.78, 0.78, -0.78, 0.78, 0.78, -0.78, 0.78),
	star(5, 0.42),
	polygon(0, -1, 0.95, 0.7, -0.95, 0.7),
}

// polygon is the outline through points x, y. A point is inside if a ray from it to
// the right crosses the outline an odd number of times.
func polygon(p ...float64) func(x, y float64) bool {
	return func(x, y float64) bool {
		in := false
		for i, j := 0, len(p)-2; i < len(p); j, i = i, i+2 {
			if (p[i+1] > y) != (p[j+1] > y) && x < (p[j]-p[i])*(y-p[i+1])/(p[j+1]-p[i+1])+p[i] {
				in = !in
			}
		}
		return in
	}
}

// regular is a regular polygon.
func regular(n int) func(x, y float64) bool { return star(n, 0) }

// star is a star of n points. inner is the radius of the corners between them; 0
// leaves those out.
func star(n int, inner float64) func(x, y float64) bool {
	var p []float64
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		p = append(p, cos, sin)
		if inner > 0 {
			sin, cos = math.Sincos(2 * math.Pi * (float64(i) + 0.5) / float64(n))
			p = append(p, inner*cos, inner*sin)
		}
	}
	return polygon(p...)
}
