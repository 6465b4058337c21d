package attack

import "slices"

// momentum is the weight of a step in APGD; the rest is that of the step before.
const momentum = .75

// apgd is Auto-PGD (Croce and Hein 2020, algorithm 1) on a loss for an aim, which may be
// another than that of the row. It reports whether the attack of the row is over.
func (s *search) apgd(by string, l Loss, a aim, random bool, restarts int) bool {
	for restart := range restarts {
		x := make([]float32, len(s.ball.centre))
		s.start(x, by, restart, random)
		if s.climb(x, by, l, a) {
			return true
		}
	}
	return false
}

// targeted is APGD on the targeted DLR loss, or where that needs more classes, on the
// margin, for each of the nine classes that the original is most easily taken for, given
// its logits.
func (s *search) targeted(logits []float32) bool {
	l := DLR
	if len(logits) < 4 {
		l = Margin
	}
	if s.Targeted {
		return s.apgd("apgd-t", l, s.aim, true, 1)
	}
	for i, class := range ranked(logits)[1:] {
		if i == 9 {
			break
		}
		x := make([]float32, len(s.ball.centre))
		s.start(x, "apgd-t", class, true)
		if s.climb(x, "apgd-t", l, aim{s.Label, class}) {
			return true
		}
	}
	return false
}

// climb is a run of APGD from the image x. It reports whether the attack of the row is
// over.
func (s *search) climb(x []float32, by string, l Loss, a aim) bool {
	n := s.APGDSteps
	check := checkpoints{every: max(n*22/100, 1), least: max(n*6/100, 1), shrink: max(n*3/100, 1), reduced: true}
	logits, got := s.gradient(x, l, a)
	loss, gradient := l.of(logits, a), slices.Clone(got)
	best, bestImage, bestGradient := loss, slices.Clone(x), slices.Clone(got)
	check.best = best
	if s.tried(x, logits, by) {
		return true
	}
	step, before, z := 2*s.Threat.Eps, slices.Clone(x), make([]float32, len(x))
	for i := range n {
		s.Threat.ascend(s.y, x, gradient, step)
		s.ball.project(z, s.y)
		weight := momentum
		if i == 0 {
			weight = 1
		}
		for k, v := range x {
			x := float64(v)
			s.y[k] = x + weight*(float64(z[k])-x) + (1-weight)*(x-float64(before[k]))
		}
		copy(before, x)
		s.ball.project(x, s.y)

		logits, got := s.gradient(x, l, a)
		copy(gradient, got)
		now := l.of(logits, a)
		if now > best {
			best = now
			copy(bestImage, x)
			copy(bestGradient, gradient)
		}
		if s.tried(x, logits, by) { // it asks, so that got is no longer valid
			return true
		}
		if check.step(now > loss, best) {
			step /= 2
			copy(x, bestImage)
			copy(gradient, bestGradient)
		}
		loss = now
	}
	return false
}

// checkpoints decide when APGD halves its step and goes on from its best image.
type checkpoints struct {
	every, least, shrink int     // steps between checkpoints, how few these become, and by how many they shrink
	steps, increases     int     // since the last checkpoint
	best                 float64 // loss at the last checkpoint
	reduced              bool    // the step was halved there
}

// step takes note of a step, and reports whether the next is to be half as long: at a
// checkpoint, if the loss increased in at most three quarters of the steps since the last
// one (condition 1), or the best loss has not improved since, and the step was not halved
// there (condition 2).
func (c *checkpoints) step(increased bool, best float64) (halve bool) {
	c.steps++
	if increased {
		c.increases++
	}
	if c.steps < c.every {
		return false
	}
	halve = 4*c.increases <= 3*c.steps || !c.reduced && best <= c.best
	c.every, c.steps, c.increases = max(c.every-c.shrink, c.least), 0, 0
	c.best, c.reduced = best, halve
	return halve
}
