package graph_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// TestPick takes rows of two elements, one of them twice, and adds gradients to them.
func TestPick(t *testing.T) {
	x := array{graph.Shape{2, 1, 3}, []float64{1, 2, 3, 4, 5, 6}}
	at := array{graph.Shape{4}, []float64{2, 0, 2, 1}}
	near(t, "rows", run(t, graph.Pick{Width: 2}, x, at), array{graph.Shape{4, 2}, []float64{5, 6, 1, 2, 5, 6, 3, 4}})
	dy := array{graph.Shape{4, 2}, []float64{1, 10, 2, 20, 4, 40, 8, 80}}
	near(t, "dx", run(t, graph.PickGradient{Pick: graph.Pick{Width: 2}, Shape: x.Shape}, at, dy), array{x.Shape, []float64{2, 20, 8, 80, 5, 50}})
}

// TestPickRefused: shapes that are no whole rows, and more rows than float32 can tell
// apart, are errors; an index of no row is a panic that says so.
func TestPickRefused(t *testing.T) {
	for _, c := range []struct {
		width int
		in    []graph.Shape
		want  string
	}{
		{2, []graph.Shape{{5}, {1}}, "x of shape [5] as rows of 2"},
		{0, []graph.Shape{{4}, {1}}, "rows of 0"},
		{1, []graph.Shape{{1<<24 + 1}, {1}}, "at most 16777216 whole rows"},
		{2, []graph.Shape{{4}, {1, 1}}, "expected x and indices [n]"},
		{2, []graph.Shape{{4}}, "expected x and indices [n]"},
	} {
		if _, err := (graph.Pick{Width: c.width}).Infer(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		gradient := graph.PickGradient{Pick: graph.Pick{Width: c.width}, Shape: c.in[0]}
		if _, err := gradient.Infer([]graph.Shape{{1}, {1, c.width}}); err == nil && strings.Contains(c.want, "rows") {
			t.Errorf("the gradient of %+v has a shape", c)
		}
	}
	if s, err := (graph.Pick{Width: 1}).Infer([]graph.Shape{{1 << 24}, {1}}); err != nil {
		t.Errorf("2^24 rows: %v, %v", s, err)
	}
	for _, at := range []float32{-1, 2, .5, float32(math.NaN()), float32(math.Inf(1))} {
		message := ""
		func() {
			defer func() { message, _ = recover().(string) }()
			graph.Pick{Width: 2}.Run32(graph.Call[float32]{Dst: make([]float32, 2), Shape: graph.Shape{1, 2},
				In: [][]float32{slices.Repeat([]float32{1}, 4), {at}}, Shapes: []graph.Shape{{4}, {1}}})
		}()
		if !strings.Contains(message, "of 2 rows") {
			t.Errorf("index %v: %q", at, message)
		}
	}
}
