package finetune

import (
	"context"
	"errors"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// keep closes an epoch: it counts it, and holds the weights where they are the
// best so far, or where nothing can tell.
func (t *trainer) keep(s Score) error {
	steps := t.state.Step - t.state.Epoch*t.plan.Epoch
	s.Epoch, s.TrainLoss = t.state.Epoch+1, t.state.Losses/float64(max(steps, 1))
	better := t.state.Best == nil || s.N == 0 || s.better(*t.state.Best, t.PerClass)
	t.state.Epoch, t.state.Losses, t.state.Last = t.state.Epoch+1, 0, &s
	t.state.Stale++
	if better {
		t.state.Best, t.state.Stale = &s, 0
		for _, w := range t.weights() {
			values := t.best[w.Name]
			if values == nil {
				values = make([]float32, w.Shape.Size())
				t.hold(w.Name, values)
			}
			if err := t.x.Read(t.evaluated(w.Name), values); err != nil {
				return err
			}
		}
	}
	t.ended()
	model := func() (*onnx.Model, error) { return t.model(t.current) }
	return t.report(Event{Kind: Evaluated, Split: Validation, Score: s, Best: better, Model: model})
}

// better compares by accuracy, and by loss where that is the same.
func (s Score) better(than Score, perClass bool) bool {
	a, b := s.Top1, than.Top1
	if perClass {
		a, b = s.MeanPerClass, than.MeanPerClass
	}
	return a > b || a == b && s.Loss < than.Loss
}

// ended tells why no epoch will follow, if so.
func (t *trainer) ended() {
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

// weights are the parameters among what steps change.
func (t *trainer) weights() (out []Tensor) {
	for _, c := range t.changed {
		if !strings.HasPrefix(c.Name, graph.FirstSum) && !strings.HasPrefix(c.Name, graph.SecondSum) && !strings.HasPrefix(c.Name, graph.Average) {
			out = append(out, c)
		}
	}
	return out
}

// evaluated is the state tensor that stands for a weight in evaluations.
func (t *trainer) evaluated(name string) string {
	if t.EMA > 0 {
		return graph.Average + name
	}
	return name
}

func (t *trainer) hold(name string, values []float32) {
	if t.best == nil {
		t.best = map[string][]float32{}
	}
	t.best[name] = values
}

// model is the network with other weights where steps change them.
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

// current reads a weight as evaluations see it.
func (t *trainer) current(name string, dst []float32) error { return t.x.Read(t.evaluated(name), dst) }

// end closes the training, after an error or not: that of the context is an
// interruption.
func (t *trainer) end(ctx context.Context, cause error) (*Result, error) {
	if d := (*Diverged)(nil); cause != nil && (ctx.Err() == nil || errors.As(cause, &d)) {
		return nil, cause
	}
	r := &Result{Best: t.state.Best, Last: t.state.Last}
	if cause == nil && t.data.Rows(Test) > 0 {
		if cause = t.test(ctx, r); cause != nil && ctx.Err() == nil {
			return nil, cause
		}
	} else if cause != nil && t.state.Step > 0 {
		if err := t.save(); err != nil {
			return nil, err
		}
	}
	if cause != nil {
		t.stop = Canceled
	}
	r.Stop, r.Plan, r.Steps, r.Missed, r.Elapsed = t.stop, t.plan, t.state.Step, len(t.missed), t.clock.elapsed()
	var err error
	if r.LastModel, err = t.model(t.current); err != nil {
		return nil, err
	}
	if t.best != nil {
		if r.BestModel, err = t.model(func(name string, dst []float32) error { copy(dst, t.best[name]); return nil }); err != nil {
			return nil, err
		}
	}
	return r, t.report(Event{Kind: Ended, Stop: t.stop})
}

// test evaluates the best weights on the rows to test.
func (t *trainer) test(ctx context.Context, r *Result) error {
	last := map[string][]float32{}
	for _, w := range t.weights() {
		last[w.Name] = make([]float32, w.Shape.Size())
		if err := t.x.Read(t.evaluated(w.Name), last[w.Name]); err != nil {
			return err
		}
	}
	write := func(values map[string][]float32) error {
		for name, v := range values {
			if err := t.x.Write(t.evaluated(name), v); err != nil {
				return err
			}
		}
		return nil
	}
	if err := write(t.best); err != nil {
		return err
	}
	score, err := t.evaluate(ctx, Test)
	if err := errors.Join(err, write(last)); err != nil {
		return err
	}
	score.Epoch, r.Test = t.state.Best.Epoch, &score
	return t.report(Event{Kind: Evaluated, Split: Test, Score: score})
}
