package finetune

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// end finishes the training and returns its result. cause is nil or why it ended
// early; if that is the end of ctx, it saves a checkpoint and returns no error.
func (t *trainer) end(ctx context.Context, cause error) (*Result, error) {
	if d := (*Diverged)(nil); cause != nil && (ctx.Err() == nil || errors.As(cause, &d)) {
		return nil, cause
	}
	r := &Result{Best: t.state.Best, Last: t.state.Last}
	weights := t.best
	if start := t.state.Start; start != nil && (r.Best == nil || !t.beatsStart(*r.Best)) {
		var err error
		if weights, err = t.startWeights(); err != nil {
			return nil, err
		}
		r.Best = start
	}
	if cause == nil && t.data.Rows(Test) > 0 {
		if cause = t.test(ctx, r, weights); cause != nil && ctx.Err() == nil {
			return nil, cause
		}
	} else if cause != nil && t.state.Step > 0 {
		if err := t.save(); err != nil {
			return nil, err
		}
	}
	if cause != nil {
		t.stop = Canceled
	} else {
		r.Doubts = t.doubts(r.Test)
	}
	r.Stop, r.Plan, r.Steps, r.Missed, r.Elapsed = t.stop, t.plan, t.state.Step, len(t.missed), t.clock.elapsed()
	var err error
	if r.LastModel, err = t.model(t.current); err != nil {
		return nil, err
	}
	if weights != nil {
		if r.BestModel, err = t.model(func(name string, dst []float32) error { copy(dst, weights[name]); return nil }); err != nil {
			return nil, err
		}
		for _, a := range t.added {
			if r.Added == nil {
				r.Added, r.shapes = map[string][]float32{}, map[string]graph.Shape{}
			}
			r.shapes[a.Name] = a.Shape
			if r.Added[a.Name] = weights[a.Name]; weights[a.Name] == nil { // not trained: still as it started
				r.Added[a.Name] = a.Start
			}
		}
	}
	return r, t.report(Event{Kind: Ended, Stop: t.stop, Doubts: r.Doubts})
}

// startWeights returns the values that the parameters which steps update started
// from.
func (t *trainer) startWeights() (map[string][]float32, error) {
	start := map[string][]float32{}
	for _, w := range t.weights() {
		if i := slices.IndexFunc(t.added, func(a graph.Added) bool { return a.Name == w.Name }); i >= 0 {
			start[w.Name] = t.added[i].Start
			continue
		}
		var err error
		if start[w.Name], err = t.net.Values(w.Name); err != nil {
			return nil, err
		}
	}
	return start, nil
}

// test evaluates the result's weights on the test rows.
func (t *trainer) test(ctx context.Context, r *Result, weights map[string][]float32) error {
	last := map[string][]float32{}
	for _, w := range t.weights() {
		last[w.Name] = make([]float32, w.Shape.Size())
		if err := t.current(w.Name, last[w.Name]); err != nil {
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
	if err := write(weights); err != nil {
		return err
	}
	score, err := t.evaluate(ctx, Test)
	if err := errors.Join(err, write(last)); err != nil {
		return err
	}
	score.Epoch, score.TrainLoss, r.Test = r.Best.Epoch, math.NaN(), &score
	return t.report(Event{Kind: Evaluated, Split: Test, Score: score})
}
