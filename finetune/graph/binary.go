package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Binary is an elementwise operation on two tensors, which are broadcast as
// NumPy does.
type Binary struct{ Op string } // Add, Sub, Mul or Div

// Infer is the rule of broadcasting.
func (Binary) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, expected 2", len(in))
	}
	return broadcast(in[0], in[1])
}

// broadcast is the shape that two shapes have in common: sizes of 1, and missing
// ones in front, grow.
func broadcast(a, b Shape) (Shape, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	for i, d := range b {
		at := len(a) - len(b) + i
		if out[at] == 1 {
			out[at] = d
		} else if d != 1 && d != out[at] {
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// spread are the steps by which walk goes through a tensor of shape s while it
// goes through the one that s is broadcast to: 0 where s has one element.
func spread(s, to Shape) []int {
	out := make([]int, len(to))
	strides := s.strides()
	for i, d := range s {
		if d > 1 {
			out[len(to)-len(s)+i] = strides[i]
		}
	}
	return out
}

// Run32 is the kernel.
func (o Binary) Run32(c Call[float32]) { binaryKernel(o, c) }

// Run64 is the kernel.
func (o Binary) Run64(c Call[float64]) { binaryKernel(o, c) }

func binaryKernel[T Float](o Binary, c Call[T]) {
	a, b, f := c.In[0], c.In[1], arithmetic[T](o.Op)
	if c.Shapes[0].Equal(c.Shapes[1]) {
		for i, x := range a {
			c.Dst[i] = f(x, b[i])
		}
		return
	}
	walk(c.Shape, spread(c.Shapes[0], c.Shape), func(to, from int) { c.Dst[to] = a[from] })
	walk(c.Shape, spread(c.Shapes[1], c.Shape), func(to, from int) { c.Dst[to] = f(c.Dst[to], b[from]) })
}

func arithmetic[T Float | int](op string) func(x, y T) T {
	switch op {
	case "Add":
		return func(x, y T) T { return x + y }
	case "Sub":
		return func(x, y T) T { return x - y }
	case "Mul":
		return func(x, y T) T { return x * y }
	default:
		return func(x, y T) T { return x / y }
	}
}

// Wrt is both.
func (Binary) Wrt(n int) []bool { return every(n) }

// Diff adds up over what was broadcast.
func (o Binary) Diff(b *Builder, in []Value, out, dy Value) []Value {
	by := [2]Value{dy, dy}
	switch o.Op {
	case "Sub":
		by[1] = b.scale(dy, -1)
	case "Mul":
		by = [2]Value{b.binary("Mul", dy, in[1]), b.binary("Mul", dy, in[0])}
	case "Div":
		by[0] = b.binary("Div", dy, in[1])
		by[1] = b.scale(b.binary("Mul", by[0], out), -1)
	}
	return []Value{b.reduceTo(by[0], in[0].Shape()), b.reduceTo(by[1], in[1].Shape())}
}

// Emit is the operator of that name.
func (o Binary) Emit(e *Emitter, s Site) string { return e.Node(o.Op, s.In) }

func (b *Builder) binary(op string, x, y Value) Value {
	if op == "Add" && x.Shape().Equal(y.Shape()) {
		return b.Apply(Sum{}, x, y)
	}
	return b.Apply(Binary{op}, x, y)
}

// readBinary takes initializers as constants, but for the bias of a linear layer
// that exporters write as MatMul and Add.
func readBinary(r *reader, n *pb.NodeProto) Value {
	if len(n.Input) != 2 {
		r.fail("%d inputs, expected 2", len(n.Input))
	}
	if n.OpType == "Add" {
		for i := range n.Input {
			if r.linear(n.Input[1-i&1]) && r.vector(n.Input[i]) {
				return r.binary("Add", r.in(n, 1-i&1), r.param(n, i, Bias))
			}
		}
	}
	return r.binary(n.OpType, r.in(n, 0), r.in(n, 1))
}

// linear tells whether a value is what a MatMul with a weight makes.
func (r *reader) linear(value string) bool {
	for _, n := range r.net.nodes {
		if slices.Contains(n.Output, value) {
			return n.OpType == "MatMul" && has(n, 1) && r.raw[n.Input[1]] != nil
		}
	}
	return false
}

// vector tells whether a value is an initializer of one dimension.
func (r *reader) vector(value string) bool {
	t := r.raw[value]
	return t != nil && len(t.Dims) == 1
}
