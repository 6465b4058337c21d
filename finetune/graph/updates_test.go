package graph_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// optim is ../testdata/optim.json, computed by PyTorch in float64.
type optim struct {
	Parameter  []float64
	Gradients  [][]float64
	Optimizers []struct {
		Optimizer         string
		LR, Momentum, Eps float64
		Nesterov          bool
		Decay             float64 `json:"weight_decay"`
		Betas             []float64
		Values            [][]float64
	}
	EMA struct {
		Decay  float64
		Values [][]float64
	}
	Clip []struct {
		Max, Norm float64
		A, B      []float64
	}
}

func readOptim(t *testing.T) (o optim) {
	t.Helper()
	text, err := os.ReadFile("../testdata/optim.json")
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The optimizers agree with PyTorch's in every step, in float64.
func TestOptimizers(t *testing.T) {
	golden := readOptim(t)
	kinds := map[string]int{}
	for _, g := range golden.Optimizers {
		kinds[g.Optimizer]++
		var o graph.Optimizer = graph.SGD{Momentum: g.Momentum, Nesterov: g.Nesterov}
		if g.Optimizer == "adamw" {
			o = graph.AdamW{Beta1: g.Betas[0], Beta2: g.Betas[1], Eps: g.Eps}
		}
		var x tape.Executor[float64]
		if err := x.Write(graph.Variable{Name: "w"}, golden.Parameter); err != nil {
			t.Fatal(err)
		}
		p := graph.Updates(o, graph.Shape{4}, graph.Rule{LRScale: 1, WeightDecay: g.Decay})
		w := make([]float64, 4)
		for step, gradient := range golden.Gradients {
			in := map[string][]float64{"g": gradient, graph.LR: {g.LR}}
			for name, v := range o.Inputs(step + 1) {
				in[name] = []float64{v}
			}
			if err := x.Run(context.Background(), p, in, nil); err != nil {
				t.Fatal(err)
			}
			if err := x.Read(graph.Variable{Name: "w"}, w); err != nil {
				t.Fatal(err)
			}
			for i, want := range g.Values[step] {
				if math.Abs(w[i]-want) > 1e-12 {
					t.Errorf("%+v, step %d: w[%d] = %v, want %v", o, step+1, i, w[i], want)
				}
			}
		}
		x.Close()
	}
	if kinds["sgd"] < 7 || kinds["adamw"] < 2 {
		t.Errorf("optimizers %v", kinds)
	}
}

// The moving average of the weights of the first run.
func TestAverages(t *testing.T) {
	golden := readOptim(t)
	s, average := graph.Shape{4}, graph.Variable{Name: "w", Slot: graph.Average}
	p := &graph.Program{
		Nodes: []graph.Node{
			{Role: graph.State, Name: "w", Slot: graph.Average, Shape: s},
			{Role: graph.Input, Name: "w", Shape: s},
			{Op: graph.Axpby{A: golden.EMA.Decay, B: 1 - golden.EMA.Decay}, In: []int{0, 1}, Shape: s},
		},
		Updates: []graph.Update{{Variable: average, Node: 2}},
	}
	var x tape.Executor[float64]
	defer x.Close()
	if err := x.Write(average, golden.Parameter); err != nil {
		t.Fatal(err)
	}
	got := make([]float64, 4)
	for step, w := range golden.Optimizers[0].Values {
		if err := x.Run(context.Background(), p, map[string][]float64{"w": w}, nil); err != nil {
			t.Fatal(err)
		}
		if err := x.Read(average, got); err != nil {
			t.Fatal(err)
		}
		for i, want := range golden.EMA.Values[step] {
			if math.Abs(got[i]-want) > 1e-14 {
				t.Errorf("step %d: average %d is %v, want %v", step+1, i, got[i], want)
			}
		}
	}
}

// Clipping agrees with clip_grad_norm_: where gradients were clipped, the golden ones
// times norm/max are those before.
func TestClipping(t *testing.T) {
	golden := readOptim(t)
	before := golden.Clip[len(golden.Clip)-1] // with a limit so large that nothing is clipped
	if before.Norm >= before.Max || len(golden.Clip) < 2 {
		t.Fatal("no case without clipping")
	}
	for _, g := range golden.Clip {
		a, b, n := graph.Shape{6}, graph.Shape{4}, graph.Shape{1}
		p := &graph.Program{
			Nodes: []graph.Node{
				{Role: graph.Input, Name: "a", Shape: a},
				{Role: graph.Input, Name: "b", Shape: b},
				{Op: graph.GlobalNorm{}, In: []int{0, 1}, Shape: n},
				{Op: graph.ClipByGlobalNorm{Max: g.Max}, In: []int{0, 2}, Shape: a},
				{Op: graph.ClipByGlobalNorm{Max: g.Max}, In: []int{1, 2}, Shape: b},
			},
			Outputs: []graph.Output{{Name: "norm", Node: 2}, {Name: "a", Node: 3}, {Name: "b", Node: 4}},
		}
		var x tape.Executor[float64]
		defer x.Close()
		out := map[string][]float64{"norm": make([]float64, 1), "a": make([]float64, 6), "b": make([]float64, 4)}
		if err := x.Run(context.Background(), p, map[string][]float64{"a": before.A, "b": before.B}, out); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string][]float64{"norm": {g.Norm}, "a": g.A, "b": g.B} {
			for i, w := range want {
				if math.Abs(out[name][i]-w) > 1e-12 {
					t.Errorf("limit %v: %s[%d] = %v, want %v", g.Max, name, i, out[name][i], w)
				}
			}
		}
	}
}
