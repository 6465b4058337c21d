package graph

import (
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
)

// The tests of this file are about silent pitfalls of gorgonia: each fails without the
// code that guards against it.

// failed runs f and returns the failure that it panics with.
func failed(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			fail, ok := r.(failure)
			if !ok {
				panic(r)
			}
			err = fail.error
		}
	}()
	f()
	return nil
}

// Nodes whose ops have equal hashes are merged, however they differ.
func TestNodesStayApart(t *testing.T) {
	b := newBuilder(0)
	x := b.Input("x", Shape{2})
	if b.Apply(Clip{High: 1}, x).node == b.Apply(Clip{High: 2}, x).node {
		t.Error("ops with other attributes are one node")
	}
	if one, other := b.Apply(Relu{}, x), b.Apply(Relu{}, x); one.node == other.node {
		t.Error("two applications of an op are one node, and share a buffer")
	}
	if !b.distinct() {
		t.Error("nodes share a hash")
	}
}

// Nodes of one hash are merged: that is what ids are for.
func TestNodesOfOneHashMerge(t *testing.T) {
	b := newBuilder(0)
	x := b.Input("x", Shape{2})
	y := G.NewTensor(b.g, G.Float32, 1, G.WithShape(2), G.WithName("y"))
	out := b.Apply(Relu{}, x).node
	other := (&GorgoniaOp{Op: Relu{}, id: out.Op().(*GorgoniaOp).id, in: []Shape{{2}}, out: Shape{2}})
	merged, err := G.ApplyOp(other, x.node)
	if err != nil {
		t.Fatal(err)
	}
	if merged != out {
		t.Fatal("gorgonia does not merge nodes of one hash any more: the guard can go")
	}
	if b.applied++; b.distinct() {
		t.Error("a node that was merged is not missed")
	}
	if _, err := G.ApplyOp(other, y); err != nil { // the second node of this hash
		t.Fatal(err)
	}
	if !b.distinct() {
		t.Error("nodes of other inputs share a hash")
	}
}

// Two leaves of the same name and shape would be merged.
func TestLeavesOfOneName(t *testing.T) {
	b := newBuilder(0)
	w := b.Variable(Variable{Name: "w"}, Shape{2})
	if b.Variable(Variable{Name: "w"}, Shape{2}).node != w.node {
		t.Error("a variable that two nodes read is two")
	}
	if b.Input("w", Shape{2}).node == w.node || b.Variable(Variable{"w", FirstMoment}, Shape{2}).node == w.node {
		t.Error("an input, or a moment, is the parameter of its name")
	}
	if err := failed(func() { b.Variable(Variable{Name: "w"}, Shape{1, 2}) }); err == nil || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("two shapes of one name: %v", err)
	}
	if !b.distinct() {
		t.Error("leaves share a hash")
	}
}

// Constants that print alike would be merged.
func TestConstantsStayApart(t *testing.T) {
	b := newBuilder(0)
	data := make([]float32, 400)
	one := b.Constant(Shape{400}, data...)
	other := append([]float32(nil), data...)
	other[200] = 1
	if one.node == b.Constant(Shape{400}, other...).node {
		t.Error("two constants are one node")
	}
}

// gorgonia recycles the type that an op returns.
func TestTypeIsNew(t *testing.T) {
	v := NewGorgoniaOp(Relu{}, 1, []Shape{{2}}, Shape{2})
	if v.Type() == v.Type() {
		t.Error("two calls return one type")
	}
}

// Grad panics at an op that does not implement SDOp, even without derivatives.
func TestNoDerivativeIsAnError(t *testing.T) {
	b := newBuilder(0)
	x := b.Variable(Variable{Name: "x"}, Shape{2, 3})
	y := b.Apply(ReluGradient{}, x, x)
	loss := b.Apply(CrossEntropy{}, y, b.Input("t", Shape{2, 3}))
	if _, err := G.Grad(loss.node, x.node); err == nil {
		t.Error("no error for a weight that the loss does not depend on by derivatives")
	}
}

// The gradient of the loss with respect to itself is 1 and needs no node. A value that
// is used twice gets the sum of both gradients, and partial sums with other readers are
// computed once.
func TestGradientsMeet(t *testing.T) {
	b := newBuilder(0)
	x := b.Variable(Variable{Name: "x"}, Shape{2, 3})
	sum := b.Apply(Sum{}, b.Apply(Relu{}, x), b.Apply(Clip{High: 6, Hard: true}, x), b.Apply(Clip{Low: -1, High: 1}, x))
	loss := b.Apply(CrossEntropy{}, sum, b.Input("t", Shape{2, 3}))
	grads, err := G.Grad(loss.node, x.node)
	if err != nil {
		t.Fatal(err)
	}
	p := b.program([]Named{{"g", Value{grads[0]}}, {"loss", loss}}, nil)
	sums, entropies := 0, 0
	for _, n := range p.Nodes {
		switch n.Op.(type) {
		case Sum:
			if sums++; len(n.In) != 3 {
				t.Errorf("a sum of %d terms, want 3", len(n.In))
			}
		case CrossEntropyGradient:
			if entropies++; len(n.In) != 2 {
				t.Errorf("the gradient of the loss has %d inputs, want 2: the loss's own is 1", len(n.In))
			}
		}
	}
	if sums != 2 || entropies != 1 {
		t.Errorf("%d sums and %d gradients of the loss, want 2 and 1\n%s", sums, entropies, p)
	}
}

// A partial sum that is an output is one term of the whole sum.
func TestPartialSums(t *testing.T) {
	b := newBuilder(0)
	var x []*G.Node
	for _, name := range []string{"x", "y", "z"} {
		x = append(x, b.Input(name, Shape{2}).node)
	}
	part := G.Must(G.Add(x[0], x[1]))
	p := b.program([]Named{{"part", Value{part}}, {"sum", Value{G.Must(G.Add(part, x[2]))}}}, nil)
	for i, n := range p.Nodes {
		if _, ok := n.Op.(Sum); ok && len(n.In) != 2 {
			t.Errorf("node %d is a sum of %d terms, want 2\n%s", i, len(n.In), p)
		}
	}
}

// Nodes that gorgonia adds by itself are known, or an error.
func TestUnknownOp(t *testing.T) {
	b := newBuilder(0)
	x := b.Input("x", Shape{2})
	n, err := G.Exp(x.node)
	if err != nil {
		t.Fatal(err)
	}
	if err := failed(func() { b.program([]Named{{"y", Value{n}}}, nil) }); err == nil {
		t.Error("no error for an op of gorgonia's own")
	}
}
