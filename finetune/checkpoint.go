package finetune

import "errors"

// resume continues from the checkpoint in the store, if there is one.
func (t *trainer) resume() error {
	if t.Store == nil {
		return nil
	}
	s, err := t.Store.Load()
	if errors.Is(err, ErrNoState) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.check(&t.state); err != nil {
		return err
	}
	for _, c := range t.updated {
		values, err := s.values(c)
		if err != nil {
			return err
		}
		if err := t.x.Write(c.Variable, values); err != nil {
			return err
		}
	}
	for _, w := range t.weights() {
		if s.Best == nil {
			break
		}
		w.Best = true
		values, err := s.values(w)
		if err != nil {
			return err
		}
		t.keepBest(w.Name, values)
	}
	s.Tensors, s.Read = nil, nil
	t.state, t.plan.Length = *s, s.Length
	t.plan.Epochs = (s.Length.Steps + s.Length.Epoch - 1) / s.Length.Epoch
	t.clock.before, t.saved = s.Elapsed, &Position{s.Epoch, s.Step}
	return nil
}

// save writes a checkpoint to the store.
func (t *trainer) save() error {
	if t.Store == nil {
		return nil
	}
	s := t.state
	s.Elapsed, s.Length = t.clock.elapsed(), t.plan.Length
	s.Tensors = append([]Tensor(nil), t.updated...)
	for _, w := range t.weights() {
		if w.Best = true; t.best[w.Name] != nil {
			s.Tensors = append(s.Tensors, w)
		}
	}
	s.Read = func(of Tensor, dst []float32) error {
		if of.Best {
			copy(dst, t.best[of.Name])
			return nil
		}
		if err := t.x.Read(of.Variable, dst); err != nil {
			return err
		}
		for _, v := range dst {
			if !finite(float64(v)) {
				return t.diverged("tensor "+of.String(), t.learningRate(max(t.state.Step-1, 0)))
			}
		}
		return nil
	}
	if err := t.Store.Save(&s); err != nil {
		return err
	}
	t.saved = &Position{s.Epoch, s.Step}
	return nil
}

// diverged is the error of a loss or tensor that is not finite.
func (t *trainer) diverged(what string, lr float64) error {
	return &Diverged{What: what, Epoch: (t.state.Step-1)/t.plan.Epoch + 1, Step: t.state.Step, LearningRate: lr, Saved: t.saved}
}
