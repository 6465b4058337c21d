package probe

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

const (
	historySize    = 10   // steps that L-BFGS remembers
	maxIterations  = 500  // of one fit
	maxTries       = 20   // points of one line search
	armijo         = 1e-4 // Wolfe's condition of sufficient decrease
	curvature      = 0.9  // Wolfe's condition of curvature
	approximate    = 0.8  // Hager and Zhang's condition of decrease, where values differ by rounding only
	rounding       = 1e-6 // relative error of a value
	stallSteps     = 5    // the number of last steps whose gain is part of the test of convergence
	smallObjective = 1e-3 // below it, tolerances are absolute
)

// objective is a function to minimise. value returns it at x and sets its gradient;
// precondition multiplies g by an estimate of the inverse second derivatives at the
// x of the last value.
type objective interface {
	value(ctx context.Context, gradient, x []float64) (float64, error)
	precondition(g []float64)
}

// minimise goes from x to near the minimum of f by L-BFGS (Nocedal and Wright,
// Numerical Optimization, 2006, algorithm 7.5).
//
// It has converged where gᵀHg/2 is at most tolerance times the value, g being the
// gradient and H the estimate of the inverse second derivatives: for a quadratic
// function and an exact H that is the distance to the minimum. As H may be too
// small, the last steps must not have gained more than that either.
func minimise(ctx context.Context, f objective, x []float64, tolerance float64) (Report, error) {
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
			gained = values[max(0, n-stallSteps)] - here.value
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
			h = history{} // H may be inaccurate: restart from here
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

// point is a point with the value and the gradient there.
type point struct {
	x, g  []float64
	value float64
}

// search is a line search from here against direction, by bisection of a bracket.
// It sets there to a point that fulfils Wolfe's conditions, or, where values differ
// by rounding only, the approximate ones of Hager and Zhang (A new conjugate
// gradient method, 2005), which compare slopes.
func search(ctx context.Context, f objective, there *point, here point, direction []float64, slope float64) (found bool, tries int, err error) {
	low, high, step := 0.0, math.Inf(1), 1.0
	for tries = 1; tries <= maxTries; tries++ {
		floats.AddScaledTo(there.x, here.x, -step, direction)
		if there.value, err = f.value(ctx, there.g, there.x); err != nil {
			return false, tries, err
		}
		s := -floats.Dot(direction, there.g)
		rise := there.value - here.value - slope*step
		down := there.value <= here.value+armijo*step*slope ||
			s < -approximate*slope && there.value <= here.value+rounding*math.Abs(here.value)
		switch {
		case !down:
			high = step
			if low > 0 {
				step = (low + high) / 2
				continue
			}
			step *= min(max(-slope*step/(2*rise), 0.1), 0.5) // minimum of the parabola
		case s < curvature*slope:
			low = step
			if high < math.Inf(1) {
				step = (low + high) / 2
				continue
			}
			step *= min(max(slope/(slope-s), 2), 10) // secant step
		default:
			return true, tries, nil
		}
	}
	return false, maxTries, nil
}

// history holds the last steps and the changes of the gradient along them.
type history struct {
	steps, changes [][]float64
	inverse        []float64 // 1 / (step · change)
	divided        []float64 // a buffer of add
	scale          float64   // of the preconditioner, from the last step; 0 before the first
}

// add remembers a step. One along which rounding makes the function seem concave
// is left out.
func (h *history) add(from, to point, precondition func([]float64)) {
	var step, change []float64
	if len(h.steps) == historySize {
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

// solve multiplies q by H, the two-loop recursion.
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
