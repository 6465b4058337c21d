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
// come before the update. Where having updates wait does not work, because they would wait
// for one another, only those are written in place that need not wait.
func (b *modelBuilder) overwrite() {
	g := b.model.Proto.Graph
	nodes, initializers, inputs := g.Node, g.Initializer, map[*pb.NodeProto][]string{}
	if late := b.waiting(inputs); len(late) > 0 {
		g.Node, g.Initializer = ordered(append(late, g.Node...)), slices.Clone(b.Initializers)
		if b.proven() {
			return
		}
		for n, in := range inputs {
			n.Input = in
		}
		g.Node, g.Initializer = nodes, initializers
	}
	analysis, read := runtime.NewOverwrites(b.model), b.read()
	for i, u := range b.updates {
		variable := u.Slot.String() + "/" + u.Name
		before, possible := analysis.Before("next "+variable, variable)
		b.updates[i].inPlace = read[variable] && possible && len(before) == 0
	}
}

// read are the variables that the model reads.
func (b *modelBuilder) read() map[string]bool {
	read := map[string]bool{}
	for _, v := range b.states {
		read[v.Variable.Slot.String()+"/"+v.Name] = true
	}
	return read
}

// waiting makes the updates that could be written in place wait for all that reads their
// variables, and returns the nodes that this takes. The former inputs of nodes that are
// changed are added to inputs.
func (b *modelBuilder) waiting(inputs map[*pb.NodeProto][]string) (late []*pb.NodeProto) {
	analysis, read := runtime.NewOverwrites(b.model), b.read()
	type wait struct {
		last             *pb.NodeProto
		output, variable string
		before           []string
	}
	var waits []wait // after the analysis, whose nodes must not change
	for i, u := range b.updates {
		variable := u.Slot.String() + "/" + u.Name
		if !read[variable] {
			continue
		}
		output := "next " + variable
		before, possible := analysis.Before(output, variable)
		if !possible {
			continue
		}
		if len(before) > 0 {
			k := slices.IndexFunc(b.model.Proto.Graph.Node, func(n *pb.NodeProto) bool { return slices.Contains(n.Output, output) })
			last := b.model.Proto.Graph.Node[k]
			if !slices.ContainsFunc(last.Input, func(v string) bool { return v != variable }) {
				continue // no input can be delayed
			}
			waits = append(waits, wait{last, output, variable, before})
		}
		b.updates[i].inPlace = true
	}
	for _, w := range waits {
		if _, changed := inputs[w.last]; !changed {
			inputs[w.last] = w.last.Input
		}
		late = append(late, b.wait(w.last, w.output, w.variable, w.before)...)
	}
	return late
}

// proven reports whether the nodes are in topological order, and every update that is to
// be written in place comes after all that reads its variable.
func (b *modelBuilder) proven() bool {
	pending := map[string]bool{}
	for _, n := range b.model.Proto.Graph.Node {
		for _, v := range n.Output {
			pending[v] = true
		}
	}
	for _, n := range b.model.Proto.Graph.Node {
		for _, v := range n.Input {
			if pending[v] {
				return false
			}
		}
		for _, v := range n.Output {
			delete(pending, v)
		}
	}
	analysis := runtime.NewOverwrites(b.model)
	for _, u := range b.updates {
		variable := u.Slot.String() + "/" + u.Name
		if before, possible := analysis.Before("next "+variable, variable); u.inPlace && !(possible && len(before) == 0) {
			return false
		}
	}
	return true
}

// wait makes a node, which computes an output, depend on values: the shape of one of its
// inputs becomes a formula of their sizes that does not change it.
func (b *modelBuilder) wait(last *pb.NodeProto, output, variable string, values []string) (nodes []*pb.NodeProto) {
	add := func(op string, in ...string) string {
		nodes = append(nodes, onnx.NewNode(op, fmt.Sprintf("%s/%s %d", output, op, len(nodes)), in))
		return nodes[len(nodes)-1].Output[0]
	}
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
