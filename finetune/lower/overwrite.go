package lower

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// overwrite finds the updates that can be written to the memory of the variable that they
// update, and has them written after everything that reads the variable: in a step, the
// gradient by a layer's input reads the weight that is updated, and nothing else makes it
// come before the update.
func (b *modelBuilder) overwrite() {
	analysis := runtime.NewOverwrites(b.model)
	read := map[string]bool{}
	for _, v := range b.states {
		read[v.Variable.Slot.String()+"/"+v.Name] = true
	}
	var late []*pb.NodeProto // what updates wait for
	for i, u := range b.updates {
		variable := u.Slot.String() + "/" + u.Name
		if !read[variable] {
			continue
		}
		before, possible := analysis.Before("next "+variable, variable)
		if !possible {
			continue
		}
		b.updates[i].inPlace = true
		if len(before) > 0 {
			late = append(late, b.wait("next "+variable, variable, before)...)
		}
	}
	if len(late) > 0 {
		g := b.model.Proto.Graph
		g.Node, g.Initializer = ordered(append(late, g.Node...)), slices.Clone(b.Initializers)
	}
}

// wait makes the node of an output depend on values: the shape of one of the node's inputs
// becomes a formula of their sizes that does not change it.
func (b *modelBuilder) wait(output, variable string, values []string) (nodes []*pb.NodeProto) {
	add := func(op string, in ...string) string {
		nodes = append(nodes, onnx.NewNode(op, fmt.Sprintf("%s/%s %d", output, op, len(nodes)), in))
		return nodes[len(nodes)-1].Output[0]
	}
	i := slices.IndexFunc(b.model.Proto.Graph.Node, func(n *pb.NodeProto) bool { return slices.Contains(n.Output, output) })
	last := b.model.Proto.Graph.Node[i]
	last.Input = slices.Clone(last.Input)
	k := slices.IndexFunc(last.Input, func(v string) bool { return v != variable })
	zero := []string{b.Ints(0)}
	for _, v := range values {
		zero = append(zero, add("Size", v))
	}
	last.Input[k] = add("Reshape", last.Input[k], add("Max", add("Shape", last.Input[k]), add("Min", zero...)))
	return nodes
}

// ordered sorts nodes topologically, and keeps their order otherwise.
func ordered(nodes []*pb.NodeProto) (sorted []*pb.NodeProto) {
	producer := map[string]*pb.NodeProto{}
	for _, n := range nodes {
		for _, v := range n.Output {
			producer[v] = n
		}
	}
	placed := map[*pb.NodeProto]bool{}
	var place func(n *pb.NodeProto)
	place = func(n *pb.NodeProto) {
		if n == nil || placed[n] {
			return
		}
		placed[n] = true
		for _, v := range n.Input {
			place(producer[v])
		}
		sorted = append(sorted, n)
	}
	for _, n := range nodes {
		place(n)
	}
	return sorted
}
