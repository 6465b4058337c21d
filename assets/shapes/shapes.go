// Package shapes draws labelled images for demos and tests: a class is one of ten
// plain shapes. Shading, colour, rotation, a mild distortion, sensor noise and a
// softly graded background vary, so that classes are easy to tell apart by outline
// and by nothing else.
//
//	img := shapes.Draw(class, seed, shapes.Config{}) // 96x96
//	name := shapes.Names[class]
//
// A scene holds several shapes, whose boxes and masks are known to the pixel:
//
//	scene := shapes.DrawScene(3, seed, shapes.SceneConfig{}) // 160x160
//	box, mask := scene.Objects[0].Box, scene.Objects[0].Mask
//
// WriteCOCO writes a data set of scenes for detection and instance segmentation. The
// command in shapes/draw writes whole data sets, of either kind.
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

// Draw draws an image of a class, an index into Names. The same class, seed and
// configuration give the same image.
func Draw(class int, seed uint64, c Config) *image.NRGBA {
	size := c.Size
	if size == 0 {
		size = 96
	}
	r := random{rand.New(rand.NewPCG(seed, uint64(class)))}
	f := r.pose(class, 0.24, 0.37)
	f.x, f.y = r.between(-0.09, 0.09), r.between(-0.09, 0.09)
	p := newPicture(size, size, r.ground())
	r.look(&f, p.ground.lightness)
	p.put(f, p.covers(&f))
	return p.paint(r, c.Noise)
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
