package onnx

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

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
