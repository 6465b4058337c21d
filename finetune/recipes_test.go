package finetune_test

import (
	"errors"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// The learning rates of the recipes are as documented.
func TestRecipes(t *testing.T) {
	rates := func(c finetune.Config, rows int) (rates []float64, steps int) {
		c.Report = func(e finetune.Event) error {
			if e.Kind == finetune.Stepped {
				rates = append(rates, e.LearningRate)
			}
			return nil
		}
		r := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{rows, 0, 0}}, c)
		return rates, r.Steps
	}
	r, err := finetune.NamedRecipe("default")
	if err != nil {
		t.Fatal(err)
	}
	got, steps := rates(r.Config, 64) // 2 steps in an epoch: 150 epochs instead of 20
	if peak := .01 * 32 / 64; steps != 300 || got[0] != peak/2 || got[1] != peak || got[2] != peak || math.Abs(got[151]-peak/2) > 1e-12 {
		t.Errorf("default: %d steps, rates %v", steps, got)
	}
	if r, err = finetune.NamedRecipe("paper"); err != nil {
		t.Fatal(err)
	}
	got, steps = rates(r.Config, 64)
	if steps != 150 || got[0] != .01 || got[49] != .01 || math.Abs(got[50]-.001) > 1e-12 || math.Abs(got[149]-1e-4) > 1e-12 || len(r.LearningRates) != 2 {
		t.Errorf("paper: %d steps, rates %v", steps, got)
	}
	if o, ok := r.Optimizer.(graph.SGD); !ok || o != (graph.SGD{Momentum: .9}) {
		t.Errorf("paper: %+v", r.Optimizer)
	}
	if _, err := finetune.NamedRecipe("none"); err == nil {
		t.Error("no error for an unknown recipe")
	}
}

// The default warm-up does not take all of a short run.
func TestShortWarmup(t *testing.T) {
	for warmup, full := range map[float64]int{0: 1, 1: 7, -1: 0} { // the first step with the full learning rate
		var rates []float64
		train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{32, 0, 0}}, finetune.Config{Epochs: 1, BatchSize: 4, LearningRate: .1, Warmup: warmup, Schedule: finetune.Constant{},
			Report: func(e finetune.Event) error {
				if e.Kind == finetune.Stepped {
					rates = append(rates, e.LearningRate)
				}
				return nil
			}})
		if len(rates) != 8 || rates[full] != .1 || full > 0 && rates[full-1] >= .1 {
			t.Errorf("warm-up %v: rates %v", warmup, rates)
		}
	}
}

func score(top1, loss, perClass float64) *finetune.Score {
	return &finetune.Score{N: 10, Loss: loss, Figures: []finetune.Figure{{Name: classify.Top1, Value: top1}, {Name: classify.MeanPerClass, Value: perClass}}}
}

func TestChooseLearningRate(t *testing.T) {
	results := map[float64]*finetune.Result{
		1:   nil, // diverges
		.1:  {Best: score(.7, 1, 0)},
		.01: {Best: score(.8, .9, .5)},
		.02: {Best: score(.8, .9, .6)},
		.3:  {Best: &finetune.Score{N: 0}},
		.4:  {Stop: finetune.Canceled},
	}
	run := func(rate float64) (*finetune.Result, error) {
		if r := results[rate]; r != nil {
			return r, nil
		}
		return nil, &finetune.Diverged{What: "loss", LearningRate: rate}
	}
	if rate, r, err := finetune.ChooseLearningRate([]float64{1, .1, .01, .02}, classify.Top1, run); rate != .01 || r != results[.01] || err != nil {
		t.Errorf("chose %v, %v", rate, err)
	}
	if rate, _, err := finetune.ChooseLearningRate([]float64{.01, .02}, classify.MeanPerClass, run); rate != .02 || err != nil {
		t.Errorf("by classes chose %v, %v", rate, err)
	}
	if _, r, err := finetune.ChooseLearningRate([]float64{.1, .4, .01}, classify.Top1, run); err != nil || r.Stop != finetune.Canceled {
		t.Errorf("interrupted: %v, %v", r, err)
	}
	var d *finetune.Diverged
	if _, _, err := finetune.ChooseLearningRate([]float64{1}, classify.Top1, run); !errors.As(err, &d) {
		t.Errorf("all diverge: %v", err)
	}
	if rate, r, err := finetune.ChooseLearningRate([]float64{.3}, classify.Top1, run); rate != .3 || r != results[.3] || err != nil {
		t.Errorf("a single rate without validation: %v, %v", rate, err)
	}
	for _, bad := range [][]float64{{.3, .1}, {}} {
		if _, _, err := finetune.ChooseLearningRate(bad, classify.Top1, run); err == nil {
			t.Errorf("no error for %v", bad)
		}
	}
}

func TestSummarize(t *testing.T) {
	if s := finetune.Summarize([]float64{.5, .7, .9}); s.N != 3 || math.Abs(s.Mean-.7) > 1e-15 || math.Abs(s.SD-.2) > 1e-15 {
		t.Errorf("%+v", s)
	}
	if s := finetune.Summarize([]float64{.5}); s.Mean != .5 || !math.IsNaN(s.SD) {
		t.Errorf("%+v", s)
	}
}

// In a chain of two ops and an update, leaves take memory throughout, inner values
// until they are last read.
func TestMemory(t *testing.T) {
	s := graph.Shape{10}
	p := &graph.Program{
		Nodes: []graph.Node{
			{Role: graph.Input, Name: "x", Shape: s},
			{Op: graph.Relu{}, In: []int{0}, Shape: s},
			{Op: graph.Relu{}, In: []int{1}, Shape: s}, // with 0 and 1: 30
			{Op: graph.Relu{}, In: []int{2}, Shape: s}, // 0, 2, 3 and w: 40
			{Role: graph.State, Name: "w", Shape: s},
			{Op: graph.Axpy{A: 1}, In: []int{4, 3}, Shape: s}, // 0, 3, and w in place
			{Op: graph.Relu{}, In: []int{3}, Shape: s},        // 0, w, 3, 6: 40
		},
		Outputs: []graph.Output{{Name: "y", Node: 6}},
		Updates: []graph.Update{{Variable: graph.Variable{Name: "w"}, Node: 5}},
	}
	if got := finetune.Memory(p); got != 4*40 {
		t.Errorf("%d bytes, want 160", got)
	}
	p.Nodes[6].In = []int{4, 5} // the last op reads the variable before and after its update
	p.Nodes[6].Op = graph.Axpy{A: 1}
	if got := finetune.Memory(p); got != 4*50 {
		t.Errorf("%d bytes with a second buffer, want 200", got)
	}
}
