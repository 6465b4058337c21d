package graphtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// roiAligns are cases of RoIAlign from a pyramid of two or three levels, of boxes that
// lie in the images, across their borders, outside, or on a level that has no others.
func roiAligns(rng *rand.Rand) (out []Case) {
	const batch, h, w = 2, 12, 16
	for _, c := range []struct {
		op     graph.RoIAlign
		bounds []float64
	}{
		{graph.RoIAlign{Strides: []int{1, 2, 4}, Size: 2, Sampling: 2}, []float64{0, 3, 4, 7}},
		{graph.RoIAlign{Strides: []int{1, 2, 4}, Size: 3, Sampling: 0, Aligned: true}, []float64{0, 2, 5, 7}},
		{graph.RoIAlign{Strides: []int{1, 2}, Size: 2, Sampling: 0}, []float64{0, 0, 7}},
		{graph.RoIAlign{Strides: []int{1, 2}, Size: 1, Sampling: 1, Aligned: true}, []float64{0, 7, 7}},
	} {
		m := NewModel(rng, h, w)
		levels := []string{m.Node("Mul", []string{"images", m.Weights("gain", .5, 1, 1, 3, 1, 1)})}
		for _, stride := range c.op.Strides[1:] {
			levels = append(levels, m.Node("AveragePool", levels[:1], box(stride, stride)...))
		}
		var flat []string
		for _, name := range levels {
			flat = append(flat, m.Node("Flatten", []string{name}))
		}
		all := m.Node("Concat", flat, Int("axis", 1)) // the network is read for what all levels lead to
		k := m.Case(fmt.Sprintf("RoIAlign %+v", c.op), all, batch, true, Distinct(rng, batch*3*h*w, .1, 2))
		k.Inputs = map[string][]float64{"bounds": c.bounds}
		for i, b := range [][4]float64{{1.25, 2, 9.5, 8}, {-3, -2.25, 5, 4}, {10.5, 7, 19, 15}, {20, 20, 24, 22}, {6.5, 3, 6.75, 3.125}, {0, 0, w, h}, {2, 9.75, 14, 11}} {
			k.Inputs["boxes"], k.Inputs["rows"] = append(k.Inputs["boxes"], b[:]...), append(k.Inputs["rows"], float64(i%3%batch))
		}
		boxes := len(k.Inputs["rows"])
		k.Inputs["t"] = Uniform(rng, boxes*3*c.op.Size*c.op.Size, -1, 1)
		k.Objective = func(b *graph.Builder) (graph.Value, []graph.Named) {
			var in []graph.Value
			for _, name := range levels {
				in = append(in, b.Value(name))
			}
			in = append(in, b.Input("boxes", graph.Shape{boxes, 4}), b.Input("rows", graph.Shape{boxes}), b.Input("bounds", graph.Shape{len(c.bounds)}))
			pooled := b.Apply(c.op, in...)
			return b.Apply(graph.Dot{}, pooled, b.Input("t", pooled.Shape())), nil
		}
		out = append(out, k)
	}
	return out
}
