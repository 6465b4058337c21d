package onnx

import (
	"github.com/robust-transfer/rtx/onnx/pb"
)

// constants are the float32 values of a graph that do not depend on its
// inputs: initializers, Constant nodes, and both behind an Identity or a Cast
// to what they are.
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

// constantOf is the float32 tensor of a Constant node, else nil.
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

// attribute is a node's attribute, nil where it has none of the name.
func attribute(n *pb.NodeProto, name string) *pb.AttributeProto {
	for _, a := range n.Attribute {
		if a.Name == name {
			return a
		}
	}
	return nil
}

func standard(n *pb.NodeProto) bool { return n.Domain == "" || n.Domain == "ai.onnx" }

// names collects every name in a graph and its subgraphs.
func names(g *pb.GraphProto, into map[string]bool) {
	for _, list := range [][]*pb.ValueInfoProto{g.GetInput(), g.GetOutput()} {
		for _, v := range list {
			into[v.Name] = true
		}
	}
	for _, t := range g.GetInitializer() {
		into[t.Name] = true
	}
	for _, n := range g.GetNode() {
		for _, list := range [][]string{n.Input, n.Output} {
			for _, v := range list {
				into[v] = true
			}
		}
		for _, a := range n.Attribute {
			names(a.G, into)
			for _, inner := range a.Graphs {
				names(inner, into)
			}
		}
	}
}

// freshName returns a name that is not taken, and takes it.
func freshName(taken map[string]bool, name string) string {
	for taken[name] {
		name += "_"
	}
	taken[name] = true
	return name
}
