package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Reshape gives its input another shape of the same size.
type Reshape struct{ Shape Shape }

// Infer expects an input of the same size.
func (o Reshape) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 || in[0].Size() != o.Shape.Size() {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of %d elements for %v", in, o.Shape.Size(), o.Shape)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the float32 kernel.
func (Reshape) Run32(c Call[float32]) { copy(c.Dst, c.In[0]) }

// Run64 is the float64 kernel.
func (Reshape) Run64(c Call[float64]) { copy(c.Dst, c.In[0]) }

// Wrt reports that the input has a derivative.
func (Reshape) Wrt(n int) []bool { return every(n) }

// Diff gives dy the shape of the input.
func (Reshape) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.reshape(dy, in[0].Shape())}
}

// Emit writes Reshape.
func (o Reshape) Emit(e *Emitter, s Operands) string { return e.Reshape(s.In[0], o.Shape...) }

// reshape gives v a shape; it returns v itself if it has that shape.
func (b *Builder) reshape(v Value, s Shape) Value {
	if v.Shape().Equal(s) {
		return v
	}
	return b.Apply(Reshape{slices.Clone(s)}, v)
}

// readReshape reads a Reshape, resolving the sizes 0 (copied) and -1 (inferred).
func readReshape(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	to := r.intList(n, "shape") // before opset 5
	if has(n, 1) {
		to = r.intInput(n, 1)
	}
	return r.reshape(x, r.reshapedTo(x.Shape(), to, r.int(n, "allowzero", 0) != 0))
}

// reshapedTo resolves the sizes given to a Reshape of a value of shape from. zeros
// is the attribute allowzero.
func (r *reader) reshapedTo(from Shape, to []int, zeros bool) Shape {
	out, open := slices.Clone(Shape(to)), -1
	for i, d := range out {
		switch {
		case d == 0 && !zeros && i < len(from):
			out[i] = from[i]
		case d == -1 && open < 0:
			open, out[i] = i, 1
		case d <= 0:
			r.fail("shape %v, expected sizes, 0 where a dimension is copied, and at most one -1", to)
		}
	}
	if size := out.Size(); open >= 0 && size > 0 && from.Size()%size == 0 {
		out[open] = from.Size() / size
	}
	if out.Size() != from.Size() {
		r.fail("%v cannot become %v: the batch size must not be fixed in the model", from, to)
	}
	return out
}

// readFlatten reads a Flatten to a matrix: the dimensions before axis, and the
// rest.
func readFlatten(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	axis := r.int(n, "axis", 1)
	if axis < 0 {
		axis += len(s)
	}
	if axis < 0 || axis > len(s) {
		r.fail("axis %d of a value of shape %v", axis, s)
	}
	return r.reshape(x, Shape{s[:axis].Size(), s[axis:].Size()})
}

// readSqueeze reads a Squeeze, which drops axes, or all dimensions of size 1.
func readSqueeze(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	return r.reshape(x, r.squeezed(x.Shape(), r.intsOf(n, 1, "axes")))
}

func (r *reader) squeezed(s Shape, axes []int) (out Shape) {
	axes = r.axes(axes, len(s))
	for i, d := range s {
		gone := slices.Contains(axes, i)
		if gone && d != 1 {
			r.fail("dimension %d of %v is squeezed, expected size 1", i, s)
		}
		if !gone && (d != 1 || len(axes) > 0) {
			out = append(out, d)
		}
	}
	return out
}

// readUnsqueeze reads an Unsqueeze, which inserts dimensions of size 1.
func readUnsqueeze(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	return r.reshape(x, r.unsqueezed(x.Shape(), r.intsOf(n, 1, "axes")))
}

func (r *reader) unsqueezed(s Shape, axes []int) (out Shape) {
	rank := len(s) + len(axes)
	axes = r.axes(axes, rank)
	for i := range rank {
		if slices.Contains(axes, i) {
			out = append(out, 1)
		} else {
			out, s = append(out, s[0]), s[1:]
		}
	}
	return out
}

// axes resolves negative axes and checks that each is there once.
func (r *reader) axes(axes []int, rank int) []int {
	out := make([]int, 0, len(axes))
	for _, a := range axes {
		if a < 0 {
			a += rank
		}
		if a < 0 || a >= rank || slices.Contains(out, a) {
			r.fail("axes %v of a value of %d dimensions", axes, rank)
		}
		out = append(out, a)
	}
	return out
}

// axis reads the attribute axis.
func (r *reader) axis(n *pb.NodeProto, value, rank int) int {
	return r.axes([]int{r.int(n, "axis", value)}, rank)[0]
}

// intInput returns the i-th input of a node, which must be a known integer tensor.
func (r *reader) intInput(n *pb.NodeProto, i int) []int {
	v, ok := r.knownInts(n.Input[i])
	if !ok {
		r.fail("input %d, %q, is not known before the network runs; expected a constant or what follows from shapes", i, n.Input[i])
	}
	return v
}

// intsOf returns integers that are an input in newer opsets and an attribute in
// older ones; nil if there are none.
func (r *reader) intsOf(n *pb.NodeProto, i int, name string) []int {
	if has(n, i) {
		return r.intInput(n, i)
	}
	return r.intList(n, name)
}

func readTranspose(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	return r.Apply(Transpose{r.perm(n, len(x.Shape()))}, x)
}

// perm returns the permutation of a Transpose; the default reverses the dimensions.
func (r *reader) perm(n *pb.NodeProto, rank int) []int {
	perm := r.intList(n, "perm")
	for i := rank - 1; i >= 0 && attribute(n, "perm") == nil; i-- {
		perm = append(perm, i)
	}
	return perm
}

// readIdentity reads an Identity of a computed value; promoted handles those of
// parameters.
func readIdentity(r *reader, n *pb.NodeProto) Value { return r.in(n, 0) }
