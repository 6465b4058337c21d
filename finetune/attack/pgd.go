package attack

// pgd is projected gradient descent. It reports whether the attack of the row is over.
func (s *search) pgd() bool {
	const by = "pgd"
	x := make([]float32, len(s.ball.centre))
	for restart := range s.Restarts {
		s.start(x, by, restart, s.RandomStart)
		for range s.Steps {
			logits, gradient := s.gradient(x, s.Loss, s.aim)
			s.Threat.ascend(s.y, x, gradient, s.StepSize) // before another question
			if s.Keep != Last && s.tried(x, logits, by) {
				return true
			}
			s.ball.project(x, s.y)
		}
		if s.tried(x, s.forward(x), by) {
			return true
		}
	}
	return false
}

// start stores the image that a search starts at in x.
func (s *search) start(x []float32, member string, restart int, random bool) {
	copy(x, s.ball.centre)
	if random {
		s.ball.random(s.y, s.random(member, restart))
		s.ball.project(x, s.y)
	}
}

// kept is the best image of a search: of those that fool the network, or of all if none
// does, the one of the highest loss.
type kept struct {
	s      *search
	image  []float32
	fooled bool
	loss   float64
	by     string // the member of the attack that found it
}

// tried keeps a copy of an image with these logits if it is the best so far. It reports
// whether the attack is over: the image fools the network, also when it is evaluated on
// its own, and the first such image is asked for.
func (s *search) tried(image, logits []float32, by string) bool {
	k := &s.kept
	fooled, loss := s.fooled(logits), s.Loss.of(logits, s.aim)
	if fooled && s.Keep == First && s.asked.loss != "" {
		fooled = s.fooled(s.forward(image))
	}
	if k.image == nil || fooled && !k.fooled || fooled == k.fooled && loss > k.loss {
		k.image, k.fooled, k.loss, k.by = append(k.image[:0], image...), fooled, loss, by
	}
	return fooled && s.Keep == First
}
