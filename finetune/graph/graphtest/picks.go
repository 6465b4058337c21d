package graphtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// picks are cases of rows of a value, some of which are taken several times.
func picks(rng *rand.Rand) (out []Case) {
	const batch, h, w = 2, 3, 4
	for _, width := range []int{h * w, w, 2 * 3 * h * w} {
		m := NewModel(rng, h, w)
		x := m.Node("Mul", []string{"images", "images"})
		c := m.Case(fmt.Sprintf("Pick rows of %d", width), x, batch, true, nil)
		rows := batch * 3 * h * w / width
		at := []float64{float64(rows - 1), 0, float64(rows / 2), 0, float64(rows - 1), 0}
		n := len(at) * width
		c.Inputs = map[string][]float64{"at": at, "t": Uniform(rng, n, 0, 1), "w": Uniform(rng, n, 0, 1)}
		c.Objective = func(b *graph.Builder) (graph.Value, []graph.Named) {
			picked := b.Apply(graph.Pick{Width: width}, b.Value(x), b.Input("at", graph.Shape{len(at)}))
			loss := b.Apply(graph.SigmoidCrossEntropy{}, picked, b.Input("t", picked.Shape()), b.Input("w", picked.Shape()))
			return loss, []graph.Named{{Name: "picked", Value: picked}}
		}
		out = append(out, c)
	}
	return out
}
