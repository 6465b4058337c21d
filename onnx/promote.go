package onnx

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Promote returns the model with the float32 tensors of named Constant nodes as
// initializers of those names, in place of the nodes.
func (m *Model) Promote(values map[string]bool) *Model {
	c := m.shallow()
	g := c.Proto.Graph
	g.Initializer = slices.Clone(g.Initializer)
	g.Node = nil
	for _, n := range m.Proto.Graph.Node {
		t := constantOf(n)
		if t == nil || !values[n.Output[0]] || t.DataType != int32(pb.TensorProto_FLOAT) {
			g.Node = append(g.Node, n)
			continue
		}
		raw := t.RawData
		if len(t.FloatData) > 0 {
			raw = littleEndian(t.FloatData)
		}
		g.Initializer = append(g.Initializer, &pb.TensorProto{Name: n.Output[0], Dims: t.Dims, DataType: t.DataType, RawData: raw})
	}
	return c
}
