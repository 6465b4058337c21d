package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Binary is an elementwise operation on two tensors, with NumPy's broadcasting.
type Binary struct{ Op string } // Add, Sub, Mul or Div

// Infer applies NumPy's broadcasting rule.
func (Binary) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, expected 2", len(in))
	}
	return broadcast(in[0], in[1])
}

// broadcast is the shape that two shapes broadcast to: sizes of 1, and missing
// leading dimensions, are expanded.
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

// broadcastStrides are the strides by which walk reads a tensor of shape s while
// it visits the shape that s is broadcast to: 0 along expanded dimensions.
func broadcastStrides(s, to Shape) []int {
	out := make([]int, len(to))
	strides := s.strides()
	for i, d := range s {
		if d > 1 {
			out[len(to)-len(s)+i] = strides[i]
		}
	}
	return out
}

// Run32 is the float32 kernel.
func (o Binary) Run32(c Call[float32]) { binaryKernel(o, c) }

// Run64 is the float64 kernel.
func (o Binary) Run64(c Call[float64]) { binaryKernel(o, c) }

func binaryKernel[T Float](o Binary, c Call[T]) {
	a, b, f := c.In[0], c.In[1], arithmetic[T](o.Op)
	if c.Shapes[0].Equal(c.Shapes[1]) {
		for i, x := range a {
			c.Dst[i] = f(x, b[i])
		}
		return
	}
	walk(c.Shape, broadcastStrides(c.Shapes[0], c.Shape), func(to, from int) { c.Dst[to] = a[from] })
	walk(c.Shape, broadcastStrides(c.Shapes[1], c.Shape), func(to, from int) { c.Dst[to] = f(c.Dst[to], b[from]) })
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

// Wrt reports that both inputs have a derivative.
func (Binary) Wrt(n int) []bool { return every(n) }

// Diff sums gradients over the dimensions that were broadcast.
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

// Emit writes the operator of that name.
func (o Binary) Emit(e *Emitter, s Operands) string { return e.Node(o.Op, s.In) }

func (b *Builder) binary(op string, x, y Value) Value {
	if op == "Add" && x.Shape().Equal(y.Shape()) {
		return b.Apply(Sum{}, x, y)
	}
	return b.Apply(Binary{op}, x, y)
}

// readBinary reads an elementwise operator. Initializers are constants, except the
// bias of a linear layer that an exporter wrote as MatMul and Add, and the scale and
// shift of a group norm.
func readBinary(r *reader, n *pb.NodeProto) Value {
	if len(n.Input) != 2 {
		r.fail("%d inputs, expected 2", len(n.Input))
	}
	if v, ok := r.normAffine(n); ok {
		return v
	}
	if n.OpType == "Add" {
		for i := range n.Input {
			if r.isLinear(n.Input[1-i&1]) && r.isVector(n.Input[i]) {
				return r.binary("Add", r.in(n, 1-i&1), r.param(n, i, Bias))
			}
		}
	}
	return r.binary(n.OpType, r.in(n, 0), r.in(n, 1))
}

// isLinear tells whether a value is the output of a MatMul with a weight.
func (r *reader) isLinear(value string) bool {
	n := r.producer(value)
	return n != nil && n.OpType == "MatMul" && has(n, 1) && r.raw[n.Input[1]] != nil
}

// isVector tells whether a value is an initializer of one dimension.
func (r *reader) isVector(value string) bool {
	t := r.raw[value]
	return t != nil && len(t.Dims) == 1
}
