package attack

import (
	"math"
	"math/rand/v2"
)

// ball is the set of images that a threat allows: those within its norm of an image,
// and within [0,1].
type ball struct {
	Threat
	centre []float32
}

// project replaces y by the nearest value of the ball and stores it, as float32, in
// dst. For L2 it scales the difference from the centre down to the radius, and then
// limits values to [0,1], as is usual, which is at most as far from the centre.
//
// Values are rounded towards the centre, so that no rounding leaves the ball.
func (b ball) project(dst []float32, y []float64) {
	scale := 1.0
	if b.Norm == L2 {
		sum := 0.0
		for i, v := range y {
			d := v - float64(b.centre[i])
			sum += d * d
		}
		if n := math.Sqrt(sum); n > b.Eps {
			scale = b.Eps / n * (1 - slack)
		}
	}
	for i, v := range y {
		c := float64(b.centre[i])
		d := (v - c) * scale
		if b.Norm == Linf {
			d = min(max(d, -b.Eps), b.Eps)
		}
		dst[i] = towards(b.centre[i], min(max(c+d, 0), 1))
		if b.Norm == Linf && math.Abs(float64(dst[i])-c) > b.Eps { // c+d was rounded up
			dst[i] = math.Nextafter32(dst[i], b.centre[i])
		}
	}
}

// slack covers the rounding of sums of millions of squares.
const slack = 1e-9

// towards rounds v to float32 in the direction of c.
func towards(c float32, v float64) float32 {
	r := float32(v)
	if d := float64(r); d > v && v > float64(c) || d < v && v < float64(c) {
		r = math.Nextafter32(r, c)
	}
	return r
}

// ascend stores in y what the image x becomes by a step of steepest ascent of the given
// length in the threat's norm. It reports whether the gradient is not zero: otherwise y
// is x.
func (t Threat) ascend(y []float64, x, gradient []float32, length float64) bool {
	scale := 0.0
	if t.Norm == L2 {
		for _, g := range gradient {
			scale += float64(g) * float64(g)
		}
		if scale > 0 {
			scale = length / math.Sqrt(scale)
		}
	}
	moves := false
	for i, g := range gradient {
		d := 0.0
		switch {
		case t.Norm == L2:
			d = float64(g) * scale
		case g > 0:
			d = length
		case g < 0:
			d = -length
		}
		y[i] = float64(x[i]) + d
		moves = moves || g != 0
	}
	return moves
}

// random stores in y a random start: for Linf, values that are uniform within the
// radius; for L2, a difference of length Eps in a uniform direction. Both are those of
// MadryLab's robustness library (random_perturb).
func (b ball) random(y []float64, r *rand.Rand) {
	if b.Norm == Linf {
		for i, c := range b.centre {
			y[i] = float64(c) + b.Eps*(2*r.Float64()-1)
		}
		return
	}
	sum := 0.0
	for i := range y {
		y[i] = r.NormFloat64()
		sum += y[i] * y[i]
	}
	scale := 0.0
	if sum > 0 {
		scale = b.Eps / math.Sqrt(sum)
	}
	for i, c := range b.centre {
		y[i] = float64(c) + y[i]*scale
	}
}
