package shapes

import (
	"image"
	"math"
)

const (
	sensor  = 3.0 / 255 // standard deviation of the noise that every image has
	samples = 3         // per side, of each pixel's grid of samples
)

// picture is an image in the making: a background and figures that do not overlap.
type picture struct {
	width, height int
	ground        ground
	figures       []figure
	owner         []int   // of each pixel, the figure that covers a part of it, counted from 1; 0: none does
	covered       []uint8 // how many of the pixel's samples it covers
}

func newPicture(width, height int, g ground) *picture {
	return &picture{width: width, height: height, ground: g, owner: make([]int, width*height), covered: make([]uint8, width*height)}
}

// point is a place in the image, in pixels, in the coordinates of figures.
func (p *picture) point(x, y float64) (float64, float64) {
	unit := float64(min(p.width, p.height))
	return x/unit - float64(p.width)/(2*unit), y/unit - float64(p.height)/(2*unit)
}

// cover is what a figure covers: of each pixel of a part of the image, row by row, how
// many samples.
type cover struct {
	at   image.Rectangle
	part []uint8
}

// covers finds what a figure covers.
func (p *picture) covers(f *figure) cover {
	unit := float64(min(p.width, p.height))
	side := func(at, size float64) (int, int) {
		middle, far := at*unit+size/2, reach*f.scale*unit
		return int(math.Floor(middle - far)), int(math.Ceil(middle + far))
	}
	x0, x1 := side(f.x, float64(p.width))
	y0, y1 := side(f.y, float64(p.height))
	c := cover{at: image.Rect(x0, y0, x1, y1).Intersect(image.Rect(0, 0, p.width, p.height))}
	for py := c.at.Min.Y; py < c.at.Max.Y; py++ {
		for px := c.at.Min.X; px < c.at.Max.X; px++ {
			n := uint8(0)
			for sy := range samples {
				for sx := range samples {
					if f.has(p.point(float64(px)+(float64(sx)+0.5)/samples, float64(py)+(float64(sy)+0.5)/samples)) {
						n++
					}
				}
			}
			c.part = append(c.part, n)
		}
	}
	return c
}

// each calls do for every pixel that is covered in part: with its index in the image.
func (p *picture) each(c cover, do func(pixel int, n uint8)) {
	for i, n := range c.part {
		if n > 0 {
			x, y := c.at.Min.X+i%c.at.Dx(), c.at.Min.Y+i/c.at.Dx()
			do(y*p.width+x, n)
		}
	}
}

// put adds a figure that covers no pixel of another.
func (p *picture) put(f figure, c cover) {
	p.figures = append(p.figures, f)
	p.each(c, func(pixel int, n uint8) {
		p.owner[pixel], p.covered[pixel] = len(p.figures), n
	})
}

// paint makes the image, with additional noise of that standard deviation.
func (p *picture) paint(r random, noise float64) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, p.width, p.height))
	for i, owner := range p.owner {
		x, y := p.point(float64(i%p.width)+0.5, float64(i/p.width)+0.5)
		alpha := float64(p.covered[i]) / (samples * samples)
		ground := p.ground.at(x, y)
		var front [3]float64
		if owner > 0 {
			front = p.figures[owner-1].at(x, y)
		}
		grain := sensor * r.NormFloat64()
		o := m.Pix[4*i:]
		for k := range 3 {
			v := (1-alpha)*ground*p.ground.tint[k] + alpha*front[k] + grain
			if noise > 0 {
				v += noise * r.NormFloat64()
			}
			o[k] = uint8(math.Round(255 * min(1, max(0, v))))
		}
		o[3] = 255
	}
	return m
}
