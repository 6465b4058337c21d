package tape_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

var _ finetune.Executor = (*tape.Executor[float32])(nil)

// descent is w -= lr·(.1·w + x), and the output relu(w), which is kept too.
func descent() *graph.Program {
	s := graph.Shape{2, 2}
	return &graph.Program{
		Nodes: []graph.Node{
			{Role: graph.State, Name: "w", Shape: s},
			{Role: graph.Input, Name: "x", Shape: s},
			{Role: graph.Input, Name: "lr", Shape: graph.Shape{1}},
			{Op: graph.Relu{}, In: []int{0}, Shape: s},
			{Op: graph.Axpy{A: .1}, In: []int{0, 1}, Shape: s},
			{Op: graph.SGDStep{LRScale: 1}, In: []int{0, 4, 2}, Shape: s},
		},
		Outputs: []graph.Output{{Name: "y", Node: 3}},
		Updates: []graph.Update{{Variable: graph.Variable{Name: "w"}, Node: 5}, {Variable: graph.Variable{Name: "before"}, Node: 3}},
	}
}

func TestRun(t *testing.T) {
	var m tape.Executor[float64]
	defer m.Close()
	w := []float64{1, -2, 3, -4}
	if err := m.Write(graph.Variable{Name: "w"}, w); err != nil {
		t.Fatal(err)
	}
	p := descent()
	x, y := []float64{1, 2, 3, 4}, make([]float64, 4)
	for step := range 3 {
		if err := m.Run(context.Background(), p, map[string][]float64{"x": x, "lr": {.5}}, map[string][]float64{"y": y}); err != nil {
			t.Fatal(err)
		}
		for i := range w {
			if want := max(w[i], 0); y[i] != want {
				t.Errorf("step %d: y[%d] = %v, want %v, of the state before the step", step, i, y[i], want)
			}
			w[i] -= .5 * (.1*w[i] + x[i])
		}
		kept := make([]float64, 4) // no node reads it
		if err := m.Read(graph.Variable{Name: "before"}, kept); err != nil || !slices.Equal(kept, y) {
			t.Errorf("step %d: %v is kept, want %v; %v", step, kept, y, err)
		}
		x[0]++
	}
	got := make([]float64, 4)
	if err := m.Read(graph.Variable{Name: "w"}, got); err != nil {
		t.Fatal(err)
	}
	for i := range w {
		if math.Abs(got[i]-w[i]) > 1e-15 {
			t.Errorf("w[%d] = %v, want %v", i, got[i], w[i])
		}
	}
}

func TestErrors(t *testing.T) {
	var m tape.Executor[float32]
	p, ctx := descent(), context.Background()
	in := map[string][]float32{"x": make([]float32, 4), "lr": {1}}
	if err := m.Run(ctx, p, map[string][]float32{"lr": {1}}, nil); err == nil {
		t.Error("no error for a missing input")
	}
	for range 50 { // of two that are missing the first is told, every time
		if err := m.Run(ctx, p, nil, nil); err == nil || !strings.Contains(err.Error(), `"lr"`) {
			t.Errorf("error %v, want of the input lr", err)
		}
	}
	if err := m.Run(ctx, p, map[string][]float32{"x": make([]float32, 3), "lr": {1}}, nil); err == nil {
		t.Error("no error for an input of another size")
	}
	if err := m.Run(ctx, p, in, map[string][]float32{"z": nil}); err == nil {
		t.Error("no error for an output that is not there")
	}
	if err := m.Write(graph.Variable{Name: "w"}, make([]float32, 3)); err == nil {
		t.Error("no error for a state of another size")
	}
	if err := m.Read(graph.Variable{Name: "v"}, nil); err == nil {
		t.Error("no error for a state that is not there")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := m.Run(cancelled, p, in, nil); err == nil {
		t.Error("no error of a cancelled context")
	}
}

// Updates use the state before the run, even if one variable is updated with the value
// of another.
func TestUpdatesAtOnce(t *testing.T) {
	a, b, s := graph.Variable{Name: "a"}, graph.Variable{Name: "b"}, graph.Shape{2}
	p := &graph.Program{
		Nodes:   []graph.Node{{Role: graph.State, Name: "a", Shape: s}, {Role: graph.State, Name: "b", Shape: s}},
		Updates: []graph.Update{{Variable: a, Node: 1}, {Variable: b, Node: 0}},
	}
	var x tape.Executor[float64]
	defer x.Close()
	for v, values := range map[graph.Variable][]float64{a: {1, 2}, b: {3, 4}} {
		if err := x.Write(v, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Run(context.Background(), p, nil, nil); err != nil {
		t.Fatal(err)
	}
	for v, want := range map[graph.Variable][]float64{a: {3, 4}, b: {1, 2}} {
		got := make([]float64, 2)
		if err := x.Read(v, got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v; %v", v, got, want, err)
		}
	}
}
