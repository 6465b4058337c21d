package probe

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

const (
	remembered     = 10  // steps that L-BFGS keeps
	maxIterations  = 500 // of one fit
	maxTries       = 20  // points on one line
	sufficient     = 1e-4
	flatter        = 0.9
	turned         = 0.8  // of the slope: as far as it may turn where values differ by rounding
	rounding       = 1e-6 // of a value, relative
	slow           = 5    // steps over which progress is looked at
	smallObjective = 1e-3 // below it, tolerances are absolute
)

// function is what is minimised: value sets the gradient at x; precondition
// multiplies g by an estimate of the inverse second derivatives, made where
// value was asked last.
type function interface {
	value(ctx context.Context, gradient, x []float64) (float64, error)
	precondition(g []float64)
}

// minimise goes from x to near the minimum of f by L-BFGS (Nocedal and Wright,
// Numerical Optimization, 2006, algorithm 7.5).
//
// It has converged where gᵀHg/2, for the gradient g and the estimate H of the
// inverse second derivatives, is at most tolerance of the value: were the
// function quadratic and H right, that is how far it is above its minimum. As H
// may be too small, the last steps must not have gained more than that either.
func minimise(ctx context.Context, f function, x []float64, tolerance float64) (Report, error) {
	here, there := point{x: x, g: make([]float64, len(x))}, point{x: make([]float64, len(x)), g: make([]float64, len(x))}
	direction := make([]float64, len(x))
	var h history
	var values []float64 // after each step
	var err error
	if here.value, err = f.value(ctx, here.g, here.x); err != nil {
		return Report{}, err
	}
	r := Report{Evaluations: 1}
	for ; r.Iterations < maxIterations; r.Iterations++ {
		copy(direction, here.g)
		h.solve(direction, f.precondition)
		slope := -floats.Dot(direction, here.g)
		gained := 0.0
		if n := len(values); n > 0 {
			gained = values[max(0, n-slow)] - here.value
		}
		if max(-slope/2, gained) <= tolerance*max(here.value, smallObjective) {
			r.Converged = true
			break
		}
		found, tries, err := search(ctx, f, &there, here, direction, slope)
		r.Evaluations += tries
		if err != nil {
			return r, err
		}
		if !found {
			if len(h.steps) == 0 {
				break
			}
			h = history{} // H may be wrong: begin again from here
			continue
		}
		h.add(here, there, f.precondition)
		values = append(values, here.value)
		here, there = there, here
	}
	r.Objective = here.value
	copy(x, here.x)
	return r, nil
}

// point is a place, the value there, and the gradient.
type point struct {
	x, g  []float64
	value float64
}

// search finds a point from here against the direction that is low enough and
// where it gets flatter: Wolfe's conditions, by bisection of a bracket. Values
// that differ by rounding are told apart by their slopes: Hager and Zhang, A new
// conjugate gradient method, 2005, the approximate conditions.
func search(ctx context.Context, f function, there *point, here point, direction []float64, slope float64) (found bool, tries int, err error) {
	low, high, step := 0.0, math.Inf(1), 1.0
	for tries = 1; tries <= maxTries; tries++ {
		floats.AddScaledTo(there.x, here.x, -step, direction)
		if there.value, err = f.value(ctx, there.g, there.x); err != nil {
			return false, tries, err
		}
		s := -floats.Dot(direction, there.g)
		rise := there.value - here.value - slope*step
		down := there.value <= here.value+sufficient*step*slope ||
			s < -turned*slope && there.value <= here.value+rounding*math.Abs(here.value)
		switch {
		case !down:
			high = step
			if low > 0 {
				step = (low + high) / 2
				continue
			}
			step *= min(max(-slope*step/(2*rise), 0.1), 0.5) // minimum of the parabola
		case s < flatter*slope:
			low = step
			if high < math.Inf(1) {
				step = (low + high) / 2
				continue
			}
			step *= min(max(slope/(slope-s), 2), 10) // zero of the line through both slopes
		default:
			return true, tries, nil
		}
	}
	return false, maxTries, nil
}

// history is the steps remembered and the changes of gradient that they made.
type history struct {
	steps, changes [][]float64
	inverse        []float64 // 1 / (step · change)
	divided        []float64 // of add, reused
	scale          float64   // of the preconditioner, by the last step; 0 before one
}

// add remembers a step, unless the function is not convex along it, which
// rounding can make it seem.
func (h *history) add(from, to point, precondition func([]float64)) {
	var step, change []float64
	if len(h.steps) == remembered {
		step, change = h.steps[0], h.changes[0]
		h.steps, h.changes, h.inverse = h.steps[1:], h.changes[1:], h.inverse[1:]
	} else {
		step, change = make([]float64, len(from.x)), make([]float64, len(from.x))
	}
	floats.SubTo(step, to.x, from.x)
	floats.SubTo(change, to.g, from.g)
	if product := floats.Dot(step, change); product > 0 {
		h.steps, h.changes, h.inverse = append(h.steps, step), append(h.changes, change), append(h.inverse, 1/product)
		h.divided = append(h.divided[:0], change...)
		precondition(h.divided)
		h.scale = product / floats.Dot(change, h.divided)
	}
}

// solve multiplies q by H.
func (h *history) solve(q []float64, precondition func([]float64)) {
	a := make([]float64, len(h.steps))
	for i := len(a) - 1; i >= 0; i-- {
		a[i] = h.inverse[i] * floats.Dot(h.steps[i], q)
		floats.AddScaled(q, -a[i], h.changes[i])
	}
	precondition(q)
	if h.scale > 0 {
		floats.Scale(h.scale, q)
	}
	for i := range a {
		floats.AddScaled(q, a[i]-h.inverse[i]*floats.Dot(h.changes[i], q), h.steps[i])
	}
}
