package finetune

import (
	"errors"
	"strings"
)

// resume takes up what the store has.
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
	for _, c := range t.changed {
		values, err := s.values(c.Name, c.Shape)
		if err != nil {
			return err
		}
		if err := t.x.Write(c.Name, values); err != nil {
			return err
		}
	}
	for _, w := range t.weights() {
		if s.Best == nil {
			break
		}
		values, err := s.values(bestPrefix+w.Name, w.Shape)
		if err != nil {
			return err
		}
		t.hold(w.Name, values)
	}
	s.Tensors, s.Read = nil, nil
	t.state, t.plan.Length = *s, s.Length
	t.plan.Epochs = (s.Length.Steps + s.Length.Epoch - 1) / s.Length.Epoch
	t.clock.before, t.saved = s.Elapsed, &Position{s.Epoch, s.Step}
	return nil
}

// save keeps a checkpoint.
func (t *trainer) save() error {
	if t.Store == nil {
		return nil
	}
	s := t.state
	s.Elapsed, s.Length = t.clock.elapsed(), t.plan.Length
	s.Tensors = append([]Tensor(nil), t.changed...)
	for _, w := range t.weights() {
		if t.best[w.Name] != nil {
			s.Tensors = append(s.Tensors, Tensor{bestPrefix + w.Name, w.Shape})
		}
	}
	s.Read = func(name string, dst []float32) error {
		if of, ok := strings.CutPrefix(name, bestPrefix); ok {
			copy(dst, t.best[of])
			return nil
		}
		if err := t.x.Read(name, dst); err != nil {
			return err
		}
		for _, v := range dst {
			if !finite(float64(v)) {
				return t.diverged("tensor "+name, t.rate(max(t.state.Step-1, 0)))
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

func (t *trainer) diverged(what string, rate float64) error {
	return &Diverged{What: what, Epoch: (t.state.Step-1)/t.plan.Epoch + 1, Step: t.state.Step, Rate: rate, Saved: t.saved}
}
