package lower_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
)

// TestTransposed gives a program another layout of an output, and leaves the program and
// its other outputs as they are.
func TestTransposed(t *testing.T) {
	both(t, func(t *testing.T, m *lower.Executor) {
		k := &maker{t: t}
		x := k.leaf(graph.Input, "x", 2, 3, 4, 5)
		y := k.op(graph.Relu{}, x)
		k.output("y", y)
		k.output("same", y)
		p := &k.p
		nodes := len(p.Nodes)
		last, err := p.Transposed("y", 0, 2, 3, 1)
		if err != nil {
			t.Fatal(err)
		}
		in := values{"x": normal(rand.New(rand.NewPCG(16, 5)), 120)}
		same(t, m, last, states{}, in, 0)
		got := values{"y": make([]float32, 120), "same": make([]float32, 120)}
		if err := m.Run(t.Context(), last, in, got); err != nil {
			t.Fatal(err)
		}
		for i, v := range got["same"] {
			n, c, at := i/60, i/20%3, i%20
			if w := got["y"][(n*20+at)*3+c]; w != v || v != max(in["x"][i], 0) {
				t.Fatalf("element %d is %v and %v, expected %v", i, v, w, max(in["x"][i], 0))
			}
		}
		if err := m.Run(t.Context(), p, in, got); err != nil || len(p.Nodes) != nodes || !slices.Equal(got["y"], got["same"]) {
			t.Errorf("%v: the program has changed", err)
		}
		if _, err := p.Transposed("z", 0, 2, 3, 1); err == nil || !strings.Contains(err.Error(), `no output "z"`) {
			t.Error(err)
		}
		if _, err := p.Transposed("y", 0, 2, 1); err == nil || !strings.Contains(err.Error(), `"y" transposed`) {
			t.Error(err)
		}
	})
}
