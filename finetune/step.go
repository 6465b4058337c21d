package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// step trains on a batch and returns the loss before the update, and what it is the sum
// of, if the task says it.
func (t *trainer) step(b *Batch, lr float64) (loss float64, losses []Figure, err error) {
	t.miss(Training, b)
	if b.N() == 0 || b.N() == 1 && !t.Frozen {
		return 0, nil, nil // too few rows could be read
	}
	s, err := t.stepOf(b.N())
	if err != nil {
		return 0, nil, err
	}
	p := t.pass(Training, b, s.Programs()...)
	p.numbers = map[string]float64{graph.LR: lr}
	for name, v := range t.Optimizer.Inputs(t.state.Step + 1) {
		p.numbers[name] = v
	}
	loss, err = s.Run(p)
	return loss, p.Losses, err
}

// pass is a run of the task's programs on a batch.
func (t *trainer) pass(s Split, b *Batch, programs ...*graph.Program) *Pass {
	return &Pass{Batch: b, Split: s, Step: t.state.Step, seed: t.Seed, programs: programs, dropouts: t.net.Dropouts(), x: t.x}
}

// miss records the rows of a batch that could not be read.
func (t *trainer) miss(s Split, b *Batch) {
	for _, row := range b.Missed {
		t.missed[missedRow{s, row}] = true
	}
}

// evaluate scores the weights, or their averages, on a split.
func (t *trainer) evaluate(ctx context.Context, s Split) (Score, error) {
	began := t.now()
	n := t.data.Rows(s)
	t.scorer.Reset()
	if n == 0 {
		return t.scorer.Score().unknown(), nil
	}
	for b, err := range batches(ctx, t.data, s, visits(t.data, s), 0, t.BatchSize) {
		if err != nil {
			return Score{}, err
		}
		t.miss(s, b)
		if b.N() == 0 {
			continue
		}
		if err := t.scorer.Add(t.pass(s, b, t.scorer.Programs()...)); err != nil {
			if bad := (*NotFinite)(nil); errors.As(err, &bad) {
				err = t.diverged(bad.What, t.learningRate(max(t.state.Step-1, 0)))
			}
			return Score{}, err
		}
	}
	score := t.scorer.Score()
	if score.N == 0 { // no row could be read
		score = score.unknown()
	}
	if name := t.task.Figure(); name != "" && !slices.ContainsFunc(score.Figures, func(f Figure) bool { return f.Name == name }) {
		return Score{}, fmt.Errorf("finetune: epochs are to be ranked by the figure %q, which the task's Score does not have", name)
	}
	if score.N > 0 && !finite(score.Loss) && !(math.IsNaN(score.Loss) && t.task.Figure() != "" && finite(score.Figure(t.task.Figure()))) {
		return Score{}, t.diverged(s.String()+" loss", t.learningRate(max(t.state.Step-1, 0)))
	}
	t.scores = t.now().Sub(began)
	return score, nil
}

// allRows returns 0 to n-1.
func allRows(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// learningRate is the learning rate of a step, counted from 0. The warm-up of a
// training that was fitted to Config.MaxTime takes at most a quarter of the steps.
func (t *trainer) learningRate(step int) float64 {
	warm := max(int(math.Round(t.Warmup*float64(t.plan.Epoch))), 0)
	if t.state.Fitted {
		warm = min(warm, t.plan.Steps/4)
	}
	return t.LearningRate * Warmup{warm, t.Schedule}.Factor(step, t.plan.Length)
}
