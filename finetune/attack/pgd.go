package attack

// pgd is projected gradient descent. It returns the image that Config.Keep asks for.
func (s *search) pgd() (image []float32, by string) {
	kept := kept{s: s}
	x := make([]float32, len(s.ball.centre))
	for restart := range s.Restarts {
		copy(x, s.ball.centre)
		if s.RandomStart {
			s.ball.random(s.y, s.random(string(PGD), restart))
			s.ball.project(x, s.y)
		}
		for range s.Steps {
			logits, gradient := s.gradient(x, s.Loss, s.aim)
			if s.Keep != Last && kept.offer(x, logits) && s.Keep == First && s.fooled(s.forward(x)) {
				return x, string(PGD)
			}
			s.Threat.ascend(s.y, x, gradient, s.StepSize)
			s.ball.project(x, s.y)
		}
		if s.Keep == Last && s.Restarts == 1 {
			return x, string(PGD)
		}
		if kept.offer(x, s.forward(x)) && s.Keep == First {
			return x, string(PGD)
		}
	}
	return kept.image, string(PGD)
}

// kept is the best image of a search: of those that fool the network, or of all if none
// does, the one of the highest loss.
type kept struct {
	s      *search
	image  []float32
	fooled bool
	loss   float64
}

// offer keeps a copy of an image with these logits if it is the best so far. It
// reports whether the image fools the network.
func (k *kept) offer(image []float32, logits []float32) bool {
	fooled, loss := k.s.fooled(logits), k.s.Loss.of(logits, k.s.aim)
	if k.image == nil || fooled && !k.fooled || fooled == k.fooled && loss > k.loss {
		k.image, k.fooled, k.loss = append(k.image[:0], image...), fooled, loss
	}
	return fooled
}
