package graph_test

import (
	"context"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// A program without an output computes the others, and nothing that only it needs.
func TestWithout(t *testing.T) {
	n := core(t)
	p, err := n.Program(graph.Config{Batch: 1, Train: all, Given: []graph.Given{{Value: "box/logits", Input: "unused", Shape: graph.Shape{1}}}}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		w := b.Parameter("box/logits.w") // that nothing of what is read depends on
		return sumOf(b, graph.Named{Name: "p/logits", Value: b.Value("p/logits")}, graph.Named{Name: "w", Value: w}), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	less := p.Without(graph.Loss)
	var x tape.Executor[float64]
	defer x.Close()
	in := map[string][]float64{}
	for _, i := range p.Leaves(graph.Input) {
		in[p.Nodes[i].Name] = slices.Repeat([]float64{.5}, p.Nodes[i].Shape.Size())
	}
	for _, param := range n.Params() {
		if err := x.Write(graph.Variable{Name: param.Name}, slices.Repeat([]float64{.1}, param.Shape.Size())); err != nil {
			t.Fatal(err)
		}
	}
	run := func(p *graph.Program) map[string][]float64 {
		out := map[string][]float64{}
		for _, o := range p.Outputs {
			out[o.Name] = make([]float64, p.Nodes[o.Node].Shape.Size())
		}
		if err := x.Run(context.Background(), p, in, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	want, got := run(p), run(less)
	if len(want) != 5 || len(got) != 4 || got[graph.Loss] != nil || len(less.Nodes) >= len(p.Nodes) {
		t.Errorf("%d outputs of %d nodes, and without the loss %d of %d", len(want), len(p.Nodes), len(got), len(less.Nodes))
	}
	for name, v := range got {
		if !slices.Equal(v, want[name]) {
			t.Errorf("%s differs", name)
		}
	}
	if left := less.Readers(); slices.Contains(left, 0) {
		t.Errorf("nodes without readers: %v", left)
	}
}
