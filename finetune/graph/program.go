package graph

import (
	"fmt"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
)

// Role says where the value of a node comes from.
type Role uint8

// The roles of nodes.
const (
	Inner    Role = iota // computed by its op
	Input                // given for each run
	State                // kept by the executor between runs
	Constant             // fixed values
)

// Node is a tensor of a Program and how it is computed.
type Node struct {
	Op    Op    // nil for leaves
	In    []int // indices into Program.Nodes, all smaller than the node's own
	Shape Shape
	Role  Role
	Name  string    // of a leaf; for an inner node, the name of the ONNX value that it computes, if any
	Slot  Slot      // of a State
	Data  []float32 // of a Constant
}

// Variable identifies the value of a State node to executors.
func (n Node) Variable() Variable { return Variable{n.Name, n.Slot} }

// Output names the value of a node.
type Output struct {
	Name string
	Node int
}

// Program is a computation as plain data: nodes in topological order, each needed
// by some output or update. It is not modified after it is built; executors
// identify it by its address.
type Program struct {
	Nodes   []Node
	Outputs []Output // what a run returns
	Updates []Update // the next values of variables
	Added   []Added  // parameters that the objective added
}

// Leaves returns the indices of the leaves of a role, in order.
func (p *Program) Leaves(role Role) (at []int) {
	for i, n := range p.Nodes {
		if n.Op == nil && n.Role == role {
			at = append(at, i)
		}
	}
	return at
}

// Readers counts the readers of each node: nodes, outputs and updates.
func (p *Program) Readers() []int {
	count := make([]int, len(p.Nodes))
	for _, n := range p.Nodes {
		for _, i := range n.In {
			count[i]++
		}
	}
	for _, o := range p.Outputs {
		count[o.Node]++
	}
	for _, u := range p.Updates {
		count[u.Node]++
	}
	return count
}

// String lists the nodes, one per line.
func (p *Program) String() string {
	var s strings.Builder
	for i, n := range p.Nodes {
		if n.Op == nil {
			fmt.Fprintf(&s, "%d %v %q\n", i, n.Shape, n.Variable())
			continue
		}
		fmt.Fprintf(&s, "%d %v %T%+v %v %s\n", i, n.Shape, n.Op, n.Op, n.In, n.Name)
	}
	return s.String()
}

// program converts the part of the graph that outputs and updates need.
func (b *Builder) program(outputs []Named, updates []Next) *Program {
	p := &Program{Added: b.added}
	at := map[*G.Node]int{}
	leaves := map[*G.Node]leafID{}
	for id, l := range b.leaves {
		leaves[l.node] = id
	}
	var wanted []*G.Node
	named := map[string]bool{}
	for _, o := range outputs {
		if o.Value.None() || named[o.Name] {
			b.fail("output %q has no value, or there are two of this name", o.Name)
		}
		named[o.Name] = true
		wanted = append(wanted, o.Value.node)
	}
	for _, u := range updates {
		if u.Value.None() {
			b.fail("the update of %q has no value", u.Variable)
		}
		wanted = append(wanted, u.Value.node)
	}
	readers := b.readers(wanted)
	var visit func(n *G.Node) int
	visit = func(n *G.Node) int {
		if i, ok := at[n]; ok {
			return i
		}
		node := Node{Shape: slices.Clone(Shape(n.Shape())), Name: b.names[n]}
		if id, ok := leaves[n]; ok {
			node.Name, node.Slot, node.Role, node.Data = id.Name, id.Slot, id.role, b.leaves[id].data
		} else if x, ok := (Value{n}).number(); ok { // the gradient of the loss by itself
			node.Role, node.Data = Constant, []float32{x}
		} else if v, ok := n.Op().(*GorgoniaOp); ok && v.Op == Op(through{}) {
			at[n] = visit(children(b.g, n)[0])
			return at[n]
		} else if v, ok := n.Op().(*GorgoniaOp); ok {
			node.Op = v.Op
			for _, c := range children(b.g, n) {
				node.In = append(node.In, visit(c))
			}
		} else if isAdd(n) {
			node.Op = Sum{}
			for _, c := range terms(b.g, n, readers) {
				node.In = append(node.In, visit(c))
			}
		} else {
			b.fail("gorgonia added %v, which no executor knows", n)
		}
		p.Nodes = append(p.Nodes, node)
		at[n] = len(p.Nodes) - 1
		return at[n]
	}
	for _, o := range outputs {
		p.Outputs = append(p.Outputs, Output{o.Name, visit(o.Value.node)})
	}
	for _, u := range updates {
		p.Updates = append(p.Updates, Update{u.Variable, visit(u.Value.node)})
	}
	return p
}

// readers counts the readers of each node that the wanted nodes depend on.
func (b *Builder) readers(wanted []*G.Node) map[*G.Node]int {
	count := map[*G.Node]int{}
	var visit func(n *G.Node)
	visit = func(n *G.Node) {
		if count[n]++; count[n] == 1 {
			for _, c := range children(b.g, n) {
				visit(c)
			}
		}
	}
	for _, n := range wanted {
		visit(n)
	}
	return count
}

// children are the inputs of a node, in order.
func children(g *G.ExprGraph, n *G.Node) (out []*G.Node) {
	for it := g.From(n.ID()); it.Next(); {
		out = append(out, it.Node().(*G.Node))
	}
	return out
}

// isAdd recognises the additions with which gorgonia accumulates gradients, whose
// type is not exported.
func isAdd(n *G.Node) bool {
	return n.Op() != nil && fmt.Sprintf("%T", n.Op()) == "gorgonia.elemBinOp" && strings.HasPrefix(n.Op().String(), "+")
}

// terms returns the terms of a chain of additions. A partial sum that has other
// readers is a single term, so that it is computed once.
func terms(g *G.ExprGraph, n *G.Node, readers map[*G.Node]int) (out []*G.Node) {
	for _, c := range children(g, n) {
		if isAdd(c) && readers[c] == 1 {
			out = append(out, terms(g, c, readers)...)
		} else {
			out = append(out, c)
		}
	}
	return out
}
