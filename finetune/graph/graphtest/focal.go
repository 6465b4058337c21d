package graphtest

import (
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// focalLosses are cases of FocalLoss of two anchors and three classes, with anchors of
// each class, background, and anchors that do not count.
func focalLosses(rng *rand.Rand) (out []Case) {
	const batch, h, w, anchors, classes = 2, 3, 4, 2, 3
	for _, c := range []struct {
		name string
		op   graph.FocalLoss
		by   float64
	}{
		{"FocalLoss", graph.FocalLoss{Alpha: .25, Gamma: 2}, 1},
		{"FocalLoss, halved", graph.FocalLoss{Alpha: .75, Gamma: 1}, .5},
		{"FocalLoss, no alpha", graph.FocalLoss{Alpha: -1, Gamma: 1.5}, 1},
		{"FocalLoss, no gamma", graph.FocalLoss{Alpha: .5}, 1},
	} {
		m := NewModel(rng, h, w)
		x := m.Node("Identity", []string{m.Channels(anchors * classes)})
		k := m.Case(c.name, x, batch, true, Uniform(rng, batch*3*h*w, -4, 4))
		labels := make([]float64, batch*anchors*h*w)
		for i := range labels {
			labels[i] = float64(rng.IntN(classes+2) - 1)
		}
		k.Inputs = map[string][]float64{"labels": labels, "weight": {.5, .125}}
		k.Objective = func(b *graph.Builder) (graph.Value, []graph.Named) {
			loss := b.Apply(c.op, b.Value(x), b.Input("labels", graph.Shape{batch, anchors, h, w}), b.Input("weight", graph.Shape{batch}))
			if c.by != 1 {
				loss = b.Apply(graph.MulScalar{By: c.by}, loss)
			}
			return loss, nil
		}
		out = append(out, k)
	}
	return out
}
