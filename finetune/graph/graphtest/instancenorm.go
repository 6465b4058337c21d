package graphtest

import (
	"math/rand/v2"

	"github.com/robust-transfer/rtx/onnx"
)

// instanceNorms are cases of instance norms, and of group norms, as exporters write
// them: instance norms of groups, whose channels are then scaled and shifted.
func instanceNorms(rng *rand.Rand) (out []Case) {
	epsilon := onnx.Float("epsilon", 1e-3)
	m := NewModel(rng, 3, 4)
	y := m.Node("InstanceNormalization", []string{"images", m.Weights("scale", .5, 1.5, 3), m.Weights("shift", -1, 1, 3)}, epsilon)
	out = append(out, m.Case("InstanceNormalization", m.Node("Mul", []string{y, y}), 2, true, nil))

	for _, reshaped := range []bool{false, true} {
		m := NewModel(rng, 3, 4)
		x := m.Channels(6)
		m.g.Node = append(m.g.Node, constant("one", onnx.NewFloats("", []int64{2}, 1, 1)), constant("zero", onnx.NewFloats("", []int64{2}, 0, 0)))
		y := m.Node("Reshape", []string{x, m.Ints("groups", 0, 2, -1)})
		y = m.Node("InstanceNormalization", []string{y, "one", "zero"}, epsilon)
		y = m.Node("Reshape", []string{y, m.Ints("channels", 0, 6, 3, 4)})
		name, scale, shift := "group norm", "", ""
		if reshaped {
			name = "group norm, scale and shift reshaped"
			m.Ints("vector", 6, 1, 1)
			scale = m.Node("Reshape", []string{m.Weights("scale", .5, 1.5, 6), "vector"})
			shift = m.Node("Reshape", []string{m.Weights("shift", -1, 1, 6), "vector"})
		} else {
			scale, shift = m.Weights("scale", .5, 1.5, 6, 1, 1), m.Weights("shift", -1, 1, 6, 1, 1)
		}
		y = m.Node("Add", []string{m.Node("Mul", []string{y, scale}), shift})
		out = append(out, m.Case(name, m.Node("Mul", []string{y, y}), 2, true, nil))
	}
	return out
}
