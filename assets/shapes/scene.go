package shapes

import (
	"image"
	"math/rand/v2"
)

// SceneConfig says how scenes are drawn. The zero value is the default.
type SceneConfig struct {
	Width, Height int     // in pixels; 0: 160
	Classes       []int   // indices into Names, of the shapes that occur; nil: all
	Noise         float64 // standard deviation of additional Gaussian noise, as a fraction of full scale
}

// Scene is an image of several shapes. They lie wholly in the image, and none covers a
// pixel of another.
type Scene struct {
	Image   *image.NRGBA
	Objects []Object
}

// Object is a shape in a scene. A pixel belongs to it if the shape covers more than half
// of it.
type Object struct {
	Class int             // index into Names
	Box   image.Rectangle // the bounds of the mask
	Mask  []byte          // [Width,Height] of the image, column by column: 1 where the object is, else 0
}

const (
	smallest, largest = 0.1, 0.22 // scales of shapes: half of their extent is about as much of the image's shorter side
	tries             = 200       // to find a place for a shape
)

// DrawScene draws an image of so many shapes, or of as many of them as it finds room for.
// The same seed, number and configuration give the same scene.
func DrawScene(objects int, seed uint64, c SceneConfig) *Scene {
	if c.Width == 0 {
		c.Width = 160
	}
	if c.Height == 0 {
		c.Height = 160
	}
	if c.Classes == nil {
		for class := range Names {
			c.Classes = append(c.Classes, class)
		}
	}
	const stream = 1 << 32 // Draw uses those of the classes
	r := random{rand.New(rand.NewPCG(seed, stream))}
	p := newPicture(c.Width, c.Height, r.ground())
	s := &Scene{}
	for range objects {
		class := c.Classes[r.IntN(len(c.Classes))]
		f, covered, ok := p.place(r, class)
		if !ok {
			continue
		}
		r.look(&f, p.ground.lightness)
		p.put(f, covered)
		s.Objects = append(s.Objects, p.object(class, covered))
	}
	s.Image = p.paint(r, c.Noise)
	return s
}

// place finds a place for a figure of a class that is free; false: it finds none.
func (p *picture) place(r random, class int) (figure, cover, bool) {
	unit := float64(min(p.width, p.height))
	wide, high := float64(p.width)/unit/2, float64(p.height)/unit/2
	for range tries {
		f := r.pose(class, smallest, largest)
		f.x, f.y = r.between(-wide, wide), r.between(-high, high)
		c := p.covers(&f)
		free := true
		p.each(c, func(pixel int, _ uint8) {
			x, y := pixel%p.width, pixel/p.width
			free = free && p.owner[pixel] == 0 && x > 0 && y > 0 && x < p.width-1 && y < p.height-1
		})
		if free {
			return f, c, true
		}
	}
	return figure{}, cover{}, false
}

// object is what is to be known of a figure that covers so much.
func (p *picture) object(class int, c cover) Object {
	o := Object{Class: class, Mask: make([]byte, p.width*p.height)}
	p.each(c, func(pixel int, n uint8) {
		if 2*n > samples*samples {
			x, y := pixel%p.width, pixel/p.width
			o.Mask[x*p.height+y] = 1
			o.Box = o.Box.Union(image.Rect(x, y, x+1, y+1))
		}
	})
	return o
}
