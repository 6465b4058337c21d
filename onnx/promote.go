package onnx

import (
	"maps"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Promote returns the model with float32 values that are constants, but not
// initializers, as initializers of those names: those of Constant nodes, and of
// Identity nodes behind a constant, which stand for tensors that were equal when
// the model was exported. Which values, want decides, among those of at least one
// dimension.
func (m *Model) Promote(want func(value string) bool) *Model {
	g := m.Proto.Graph
	tensors := map[string]*pb.TensorProto{}
	for _, t := range g.Initializer {
		tensors[t.Name] = t
	}
	c := m.shallow()
	c.payloads = maps.Clone(m.payloads)
	c.Proto.Graph.Initializer = slices.Clone(g.Initializer)
	c.Proto.Graph.Node = nil
	for _, n := range g.Node {
		t := constantOf(n)
		if n.OpType == "Identity" && standard(n) && len(n.Input) == 1 {
			t = tensors[n.Input[0]]
		}
		if t == nil || len(n.Output) != 1 {
			c.Proto.Graph.Node = append(c.Proto.Graph.Node, n)
			continue
		}
		name := n.Output[0]
		tensors[name] = t
		if t.DataType != int32(pb.TensorProto_FLOAT) || len(t.Dims) == 0 || !want(name) {
			c.Proto.Graph.Node = append(c.Proto.Graph.Node, n)
			continue
		}
		own := &pb.TensorProto{Name: name, Dims: t.Dims, DataType: t.DataType, RawData: t.RawData, FloatData: t.FloatData}
		if len(own.FloatData) > 0 {
			own.RawData, own.FloatData = littleEndian(own.FloatData), nil
		}
		if p, ok := m.payloads[t]; ok {
			c.payloads[own] = p
		}
		c.Proto.Graph.Initializer = append(c.Proto.Graph.Initializer, own)
	}
	return c
}
