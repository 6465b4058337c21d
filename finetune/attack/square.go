package attack

import (
	"math"
	"math/rand/v2"
	"slices"
)

// square is the Square attack (Andriushchenko et al. 2020) on the margin loss, as in
// AutoAttack's standard version: windows of at first 0.8 of the image, which shrink with
// the number of queries. It reports whether the attack of the row is over.
func (s *search) square() bool {
	const by = "square"
	r := s.random(by, 0)
	w := canvas{s.ball, s.pool.a.planes, s.pool.a.size[0], s.pool.a.size[1], r}
	x, next := make([]float32, len(s.ball.centre)), make([]float32, len(s.ball.centre))
	w.first(s.y)
	s.ball.project(x, s.y)
	logits := s.forward(x)
	best := Margin.of(logits, s.aim)
	if s.tried(x, logits, by) {
		return true
	}
	for i := range s.Queries {
		w.change(s.y, x, squareShare(i, s.Queries))
		s.ball.project(next, s.y)
		logits := s.forward(next)
		loss := Margin.of(logits, s.aim)
		if s.tried(next, logits, by) {
			return true
		}
		if loss > best {
			best = loss
			x, next = next, x
		}
	}
	return false
}

// squareShare is the share of the image that windows cover in a query. The schedule is
// the paper's for 10,000 queries, of which AutoAttack's standard version takes the first
// 5,000; it is compressed for fewer.
func squareShare(query, queries int) float64 {
	at := query * 5000 / min(queries, 5000)
	share := .8
	for _, end := range []int{10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000} {
		if at > end {
			share /= 2
		}
	}
	return share
}

// canvas draws the perturbations of the Square attack.
type canvas struct {
	ball
	planes, h, w int
	*rand.Rand
}

func (c canvas) sign() float64 { return float64(2*c.IntN(2) - 1) }

// first stores the first image in y: vertical stripes for Linf, tiles of a fifth of the
// image for L2.
func (c canvas) first(y []float64) {
	if c.Norm == Linf {
		for at := 0; at < len(y); at += c.h * c.w {
			for col := range c.w {
				v := c.Eps * c.sign()
				for row := range c.h {
					i := at + row*c.w + col
					y[i] = float64(c.centre[i]) + v
				}
			}
		}
		return
	}
	clear(y)
	side := max(min(c.h, c.w)/5, 1)
	for top := 0; top+side <= c.h; top += side {
		for left := 0; left+side <= c.w; left += side {
			pattern := c.pattern(side)
			for p := range c.planes {
				sign := c.sign()
				for i, v := range pattern {
					y[c.at(p, top+i/side, left+i%side)] = sign * v
				}
			}
		}
	}
	c.place(y)
}

// at is the index of a value.
func (c canvas) at(plane, row, col int) int { return (plane*c.h+row)*c.w + col }

// place turns differences into an image at the distance Eps.
func (c canvas) place(y []float64) {
	scale := c.Eps / math.Max(norm(y), 1e-12)
	for i := range y {
		y[i] = float64(c.centre[i]) + y[i]*scale
	}
}

func norm(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// change stores in y the image x with another window of this share of its area.
func (c canvas) change(y []float64, x []float32, share float64) {
	side := int(math.Round(math.Sqrt(share * float64(c.h*c.w))))
	if c.Norm == L2 {
		side = max(side, 3)
		side += 1 - side%2
	}
	side = min(max(side, 1), c.h, c.w)
	top, left := c.IntN(c.h-side+1), c.IntN(c.w-side+1)
	if c.Norm == Linf {
		for i, v := range x {
			y[i] = float64(v)
		}
		for p := range c.planes {
			v := 2 * c.Eps * c.sign()
			for i := range side * side {
				y[c.at(p, top+i/side, left+i%side)] += v
			}
		}
		return
	}
	for i, v := range x {
		y[i] = float64(v) - float64(c.centre[i])
	}
	c.moveMass(y, side, top, left)
	c.place(y)
}

// moveMass takes the differences out of a second random window and puts their norm, and
// what the whole lacks of Eps, into the window at top and left, as a pattern added to what
// is there.
func (c canvas) moveMass(d []float64, side, top, left int) {
	top2, left2 := c.IntN(c.h-side+1), c.IntN(c.w-side+1)
	lacking := max(c.Eps*c.Eps-norm(d)*norm(d), 0) / float64(c.planes)
	pattern := c.pattern(side)
	for p := range c.planes {
		here, both := 0.0, 0.0
		window := make([]float64, side*side)
		for i := range window {
			window[i] = d[c.at(p, top+i/side, left+i%side)]
			here += window[i] * window[i]
			if row, col := top2+i/side, left2+i%side; row < top || row >= top+side || col < left || col >= left+side {
				v := d[c.at(p, row, col)]
				both += v * v
			}
		}
		both += here
		sign := c.sign()
		for i, v := range pattern {
			window[i] = sign*v + window[i]/(1e-12+math.Sqrt(here))
		}
		scale := math.Sqrt(lacking+both) / (1e-12 + norm(window))
		for i := range window {
			d[c.at(p, top2+i/side, left2+i%side)] = 0
		}
		for i, v := range window {
			d[c.at(p, top+i/side, left+i%side)] = v * scale
		}
	}
}

// pattern is a window [side,side] of norm 1: two hills of opposite signs, one above or
// beside the other.
func (c canvas) pattern(side int) []float64 {
	d := make([]float64, side*side)
	half := side / 2
	hill(d[:half*side], half, side, 1)
	hill(d[half*side:], side-half, side, -1)
	n := norm(d)
	for i := range d {
		d[i] /= n
	}
	if c.IntN(2) == 0 {
		return d
	}
	turned := slices.Clone(d)
	for i := range d {
		turned[i] = d[i%side*side+i/side]
	}
	return turned
}

// hill fills d [h,w] with nested rectangles around the middle, of weights 1, 1/4, 1/9, ...
// that add up, and the given norm and sign.
func hill(d []float64, h, w int, sign float64) {
	top, left := h/2, w/2
	for k := range max(h/2, w/2) + 1 {
		for row := max(top-k, 0); row < min(top+k+1, h); row++ {
			for col := max(left-k, 0); col < min(left+k+1, w); col++ {
				d[row*w+col] += 1 / float64((k+1)*(k+1))
			}
		}
	}
	if n := norm(d); n > 0 {
		for i := range d {
			d[i] *= sign / n
		}
	}
}
