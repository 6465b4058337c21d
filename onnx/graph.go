package onnx

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// attribute is an attribute of a node, nil where it has none of the name.
func attribute(n *pb.NodeProto, name string) *pb.AttributeProto {
	for _, a := range n.Attribute {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// nodeName is a node's name, else that of its first output.
func nodeName(n *pb.NodeProto) string {
	if n.Name != "" || len(n.Output) == 0 {
		return n.Name
	}
	return n.Output[0]
}

// producers maps each value to the node that computes it.
func (m *Model) producers() map[string]*pb.NodeProto {
	producer := map[string]*pb.NodeProto{}
	for _, n := range m.Proto.Graph.Node {
		for _, o := range n.Output {
			producer[o] = n
		}
	}
	return producer
}

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

// valuesRead lists the values that a node reads: its inputs, and whatever its
// subgraphs may read of the graph around them.
func valuesRead(n *pb.NodeProto) []string {
	out := slices.Clone(n.Input)
	for _, a := range n.Attribute {
		for _, g := range append(slices.Clone(a.Graphs), a.G) {
			for _, inner := range g.GetNode() {
				out = append(out, valuesRead(inner)...)
			}
			for _, o := range g.GetOutput() {
				out = append(out, o.Name)
			}
		}
	}
	return out
}

// prune removes from a graph what its outputs do not need.
func (m *Model) prune() {
	g := m.Proto.Graph
	needed, outputs, own := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range g.Output {
		needed[o.Name], outputs[o.Name] = true, true
	}
	var kept []*pb.NodeProto
	for _, n := range slices.Backward(g.Node) {
		if !slices.ContainsFunc(n.Output, func(o string) bool { return needed[o] }) {
			continue
		}
		kept = append(kept, n)
		for _, v := range valuesRead(n) {
			needed[v] = true
		}
	}
	slices.Reverse(kept)
	g.Node = kept
	for _, t := range g.Initializer {
		own[t.Name] = true
	}
	g.Initializer = filter(g.Initializer, func(t *pb.TensorProto) bool { return needed[t.Name] })
	g.Input = filter(g.Input, func(v *pb.ValueInfoProto) bool { return needed[v.Name] || !own[v.Name] })
	g.ValueInfo = filter(g.ValueInfo, func(v *pb.ValueInfoProto) bool { return needed[v.Name] && !outputs[v.Name] })
}

// filter returns the elements to keep as a new slice.
func filter[T any](in []T, keep func(T) bool) []T {
	var out []T
	for _, x := range in {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}
