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
	Constant             // the same for ever
)

// Node is a tensor of a Program and how it is computed.
type Node struct {
	Op    Op    // nil for leaves
	In    []int // indices into Program.Nodes, all smaller than the node's own
	Shape Shape
	Role  Role
	Name  string    // of a leaf; of an inner node, the ONNX value that it is, where it is one
	Data  []float32 // of a Constant
}

// Output names the value of a node.
type Output struct {
	Name string
	Node int
}

// Program is one step as plain data: nodes in topological order, without
// anything that no output or update needs. It is not modified after it was
// made, and its address is its identity to executors.
type Program struct {
	Nodes   []Node
	Outputs []Output // what a run returns
	Updates []Output // the next values of state tensors, by their names
}

// Leaves lists the nodes of a role, in order.
func (p *Program) Leaves(role Role) (at []int) {
	for i, n := range p.Nodes {
		if n.Op == nil && n.Role == role {
			at = append(at, i)
		}
	}
	return at
}

// Readers counts how often each node is read: by nodes, outputs and updates.
func (p *Program) Readers() []int {
	count := make([]int, len(p.Nodes))
	for _, n := range p.Nodes {
		for _, i := range n.In {
			count[i]++
		}
	}
	for _, o := range slices.Concat(p.Outputs, p.Updates) {
		count[o.Node]++
	}
	return count
}

// String lists the nodes, one a line.
func (p *Program) String() string {
	var s strings.Builder
	for i, n := range p.Nodes {
		if n.Op == nil {
			fmt.Fprintf(&s, "%d %v %q\n", i, n.Shape, n.Name)
			continue
		}
		fmt.Fprintf(&s, "%d %v %T%+v %v %s\n", i, n.Shape, n.Op, n.Op, n.In, n.Name)
	}
	return s.String()
}

// named is an output or update of a graph under construction.
type named struct {
	name  string
	value Value
}

// program walks the graph from what is wanted and hands it out.
func (b *builder) program(outputs, updates []named) *Program {
	p := &Program{}
	at := map[*G.Node]int{}
	leaves := map[*G.Node]string{}
	for name, l := range b.leaves {
		leaves[l.node] = name
	}
	readers := b.readers(outputs, updates)
	var visit func(n *G.Node) int
	visit = func(n *G.Node) int {
		if i, ok := at[n]; ok {
			return i
		}
		node := Node{Shape: slices.Clone(Shape(n.Shape())), Name: b.names[n]}
		if name, ok := leaves[n]; ok {
			l := b.leaves[name]
			node.Name, node.Role, node.Data = name, l.role, l.data
		} else if v, ok := n.Op().(*Vertex); ok {
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
		p.Outputs = append(p.Outputs, Output{o.name, visit(o.value.node)})
	}
	for _, u := range updates {
		p.Updates = append(p.Updates, Output{u.name, visit(u.value.node)})
	}
	return p
}

// readers counts the readers of each node that is reached from what is wanted.
func (b *builder) readers(wanted ...[]named) map[*G.Node]int {
	count := map[*G.Node]int{}
	var visit func(n *G.Node)
	visit = func(n *G.Node) {
		if count[n]++; count[n] == 1 {
			for _, c := range children(b.g, n) {
				visit(c)
			}
		}
	}
	for _, list := range wanted {
		for _, w := range list {
			visit(w.value.node)
		}
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

// isAdd recognises the additions by which gorgonia accumulates gradients. The
// type of that op is not exported.
func isAdd(n *G.Node) bool {
	return n.Op() != nil && fmt.Sprintf("%T", n.Op()) == "gorgonia.elemBinOp" && strings.HasPrefix(n.Op().String(), "+")
}

// terms are what a chain of additions adds up. A partial sum that others read,
// too, is one term: it is computed once.
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
