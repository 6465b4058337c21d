package finetune

import (
	"context"
	"math"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// scoreStart scores the weights that training starts from, if Config.ScoreStart asks
// for it and nothing was trained yet.
func (t *trainer) scoreStart(ctx context.Context) error {
	if !t.ScoreStart || t.plan.Validation == 0 || t.state.Start != nil {
		return nil
	}
	s, err := t.evaluate(ctx, Validation)
	if err != nil {
		return err
	}
	s.TrainLoss = math.NaN()
	t.state.Start = &s
	return t.reportEpoch(s, true)
}

// endEpoch completes an epoch. It keeps the weights if they are the best so far, or
// if there are no validation rows.
func (t *trainer) endEpoch(s Score) error {
	steps := t.state.Step - t.state.Epoch*t.plan.Epoch
	s.Epoch, s.TrainLoss = t.state.Epoch+1, t.state.Losses/float64(max(steps, 1))
	t.noteEpoch(s.TrainLoss)
	better := t.state.Best == nil || s.N == 0 || t.better(s)
	t.state.Epoch, t.state.Losses, t.state.Last = t.state.Epoch+1, 0, &s
	t.state.Stale++
	if better {
		t.state.Best, t.state.Stale = &s, 0
		for _, w := range t.weights() {
			values := t.best[w.Name]
			if values == nil {
				values = make([]float32, w.Shape.Size())
				t.keepBest(w.Name, values)
			}
			if err := t.current(w.Name, values); err != nil {
				return err
			}
		}
	}
	t.checkStop()
	return t.reportEpoch(s, better && t.beatsStart(s))
}

// better reports whether an epoch is better than the best one before it.
func (t *trainer) better(s Score) bool {
	best, figure := *t.state.Best, t.task.Figure()
	if t.ScoreStart && figure != "" && s.Figure(figure) == best.Figure(figure) {
		return true
	}
	return s.better(best, figure)
}

// beatsStart reports whether an epoch's score is better than that of the start, if
// there is one, by more than a standard error.
func (t *trainer) beatsStart(s Score) bool {
	start, figure := t.state.Start, t.task.Figure()
	if start == nil || s.N == 0 {
		return true
	}
	if figure == "" {
		return s.better(*start, figure)
	}
	n := float64(start.N)
	p := (start.Figure(figure)*n + 1) / (n + 2)
	return s.Figure(figure) > start.Figure(figure)+math.Sqrt(p*(1-p)/n)
}

// reportEpoch reports the score of the present weights on the validation rows.
func (t *trainer) reportEpoch(s Score, best bool) error {
	model := func() (*onnx.Model, error) { return t.model(t.current) }
	return t.report(Event{Kind: Evaluated, Split: Validation, Score: s, Best: best, Model: model})
}

// checkStop sets the reason to stop if no epoch is to follow.
func (t *trainer) checkStop() {
	switch {
	case t.plan.Validation > 0 && t.Patience > 0 && t.state.Stale >= t.Patience:
		t.stop = OutOfPatience
	case t.state.Step >= t.plan.Steps && t.state.Epoch*t.plan.Epoch >= t.plan.Steps:
		t.stop = AllSteps
		if t.state.Over {
			t.stop = OutOfTime
		}
	}
}

// weights lists the parameters among the variables that steps update.
func (t *trainer) weights() (out []Tensor) {
	for _, c := range t.updated {
		if c.Slot == graph.Parameter {
			out = append(out, c)
		}
	}
	return out
}

// evaluated is the variable that evaluations use as a parameter.
func (t *trainer) evaluated(name string) graph.Variable {
	if t.EMA > 0 {
		return graph.Variable{Name: name, Slot: graph.Average}
	}
	return graph.Variable{Name: name}
}

// current reads the present values of a parameter that evaluations use.
func (t *trainer) current(name string, dst []float32) error { return t.x.Read(t.evaluated(name), dst) }

// keepBest keeps a parameter's values of the best epoch.
func (t *trainer) keepBest(name string, values []float32) {
	if t.best == nil {
		t.best = map[string][]float32{}
	}
	t.best[name] = values
}

// model returns the model with the weights that steps update replaced.
func (t *trainer) model(read func(name string, dst []float32) error) (*onnx.Model, error) {
	changed := map[string]bool{}
	for _, w := range t.weights() {
		changed[w.Name] = true
	}
	return t.net.Export(func(name string, dst []float32) error {
		if changed[name] {
			return read(name, dst)
		}
		values, err := t.net.Values(name)
		copy(dst, values)
		return err
	})
}
