package onnx

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

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

// Untied returns the model with an initializer for every Identity node that
// repeats one, in place of the node. Exporters write weights that happen to be
// equal once, and such nodes for the others; in training they part.
func (m *Model) Untied() *Model {
	c := m.shallow()
	c.payloads = maps.Clone(m.payloads)
	g := c.Proto.Graph
	g.Initializer = slices.Clone(g.Initializer)
	g.Node = nil
	known, outputs := map[string]*pb.TensorProto{}, map[string]bool{}
	for _, t := range g.Initializer {
		known[t.Name] = t
	}
	for _, o := range g.Output {
		outputs[o.Name] = true
	}
	for _, n := range m.Proto.Graph.Node {
		if n.OpType != "Identity" || !standard(n) || len(n.Input) != 1 || known[n.Input[0]] == nil || outputs[n.Output[0]] {
			g.Node = append(g.Node, n)
			continue
		}
		t := known[n.Input[0]]
		own := proto.CloneOf(t)
		own.Name = n.Output[0]
		if p, ok := c.payloads[t]; ok {
			c.payloads[own] = p
		}
		known[own.Name] = own
		g.Initializer = append(g.Initializer, own)
	}
	return c
}
