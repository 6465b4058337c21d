package onnx

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// constants are the float32 values of a graph that do not depend on its inputs:
// initializers and Constant nodes, also behind an Identity or a Cast to float32.
func (m *Model) constants() map[string]*pb.TensorProto {
	all := map[string]*pb.TensorProto{}
	for _, t := range m.Proto.Graph.Initializer {
		if t.DataType == int32(pb.TensorProto_FLOAT) {
			all[t.Name] = t
		}
	}
	for _, n := range m.Proto.Graph.Node {
		if !standard(n) || len(n.Output) != 1 {
			continue
		}
		t := constantOf(n)
		if len(n.Input) == 1 && (n.OpType == "Identity" || n.OpType == "Cast" && attribute(n, "to").GetI() == int64(pb.TensorProto_FLOAT)) {
			t = all[n.Input[0]]
		}
		if t != nil {
			all[n.Output[0]] = t
		}
	}
	return all
}

// constantOf is the float32 tensor of a Constant node, nil for any other node.
func constantOf(n *pb.NodeProto) *pb.TensorProto {
	if n.OpType != "Constant" {
		return nil
	}
	for _, a := range n.Attribute {
		switch {
		case a.Name == "value" && a.T.GetDataType() == int32(pb.TensorProto_FLOAT) && a.T.DataLocation == pb.TensorProto_DEFAULT:
			return a.T
		case a.Name == "value_float":
			return &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), FloatData: []float32{a.F}}
		case a.Name == "value_floats" && len(a.Floats) > 0:
			return &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), Dims: []int64{int64(len(a.Floats))}, FloatData: a.Floats}
		}
	}
	return nil
}

// int64s reads a small int64 tensor.
func int64s(t *pb.TensorProto) ([]int64, bool) {
	if t == nil || t.DataType != int32(pb.TensorProto_INT64) {
		return nil, false
	}
	if len(t.Int64Data) > 0 {
		return t.Int64Data, true
	}
	out := make([]int64, 0, len(t.RawData)/8)
	for b := t.RawData; len(b) >= 8; b = b[8:] {
		out = append(out, int64(binary.LittleEndian.Uint64(b)))
	}
	return out, int64(len(out)) == elements(t.Dims)
}

// scalar reads a float32 tensor of one element.
func scalar(t *pb.TensorProto) (float32, bool) {
	switch {
	case t == nil || t.DataType != int32(pb.TensorProto_FLOAT) || elements(t.Dims) != 1:
		return 0, false
	case len(t.FloatData) == 1:
		return t.FloatData[0], true
	case len(t.RawData) == 4:
		return math.Float32frombits(binary.LittleEndian.Uint32(t.RawData)), true
	}
	return 0, false
}

// Promote returns the model with constants as initializers that were not: the
// float32 tensors of Constant nodes, and those of Identity nodes behind a
// constant, by which exporters replace tensors that were equal to another. They
// keep the names of the nodes' values. want chooses among the values with at
// least one dimension.
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
