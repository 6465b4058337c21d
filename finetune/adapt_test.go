package finetune_test

import (
	"context"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// Adapted statistics depend only on the images, not on the old statistics.
func TestAdaptForgets(t *testing.T) {
	net, d := toyNet(t, .3), &toy{rows: [3]int{20, 0, 0}}
	var first []float32
	for _, before := range []float32{0, 1e4} {
		x := &spy{}
		if err := finetune.Load(net, x); err != nil {
			t.Fatal(err)
		}
		for _, p := range net.Params() {
			if p.Kind.Statistic() {
				if err := x.Write(graph.Variable{Name: p.Name}, slices.Repeat([]float32{before}, p.Shape.Size())); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := finetune.Adapt(context.Background(), net, x, d, finetune.AdaptConfig{BatchSize: 8}); err != nil {
			t.Fatal(err)
		}
		all := slices.Concat(values(t, net, x, graph.Parameter, "s1.mean"), values(t, net, x, graph.Parameter, "s2.var"))
		if first == nil {
			first = all
		} else if !slices.Equal(all, first) {
			t.Errorf("statistics that were %v become %v, want %v", before, all, first)
		}
	}
}
