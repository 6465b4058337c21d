package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Concat joins tensors along an axis.
type Concat struct{ Axis int }

// Infer expects shapes that differ only along the axis.
func (o Concat) Infer(in []Shape) (Shape, error) {
	if len(in) == 0 || o.Axis < 0 || o.Axis >= len(in[0]) {
		return nil, fmt.Errorf("inputs of shapes %v, expected dimension %d", in, o.Axis)
	}
	out := slices.Clone(in[0])
	for _, s := range in[1:] {
		if len(s) != len(out) || !keepDims(s, []int{o.Axis}).Equal(keepDims(out, []int{o.Axis})) {
			return nil, fmt.Errorf("inputs of shapes %v, expected equal ones but for dimension %d", in, o.Axis)
		}
		out[o.Axis] += s[o.Axis]
	}
	return out, nil
}

// Run32 is the float32 kernel.
func (o Concat) Run32(c Call[float32]) { concat(o.Axis, c.Dst, c.In, c.Shapes) }

// Run64 is the float64 kernel.
func (o Concat) Run64(c Call[float64]) { concat(o.Axis, c.Dst, c.In, c.Shapes) }

func concat[T any](axis int, dst []T, in [][]T, shapes []Shape) {
	for i := range shapes[0][:axis].Size() {
		for k, x := range in {
			block := shapes[k][axis:].Size()
			dst = dst[copy(dst, x[i*block:][:block]):]
		}
	}
}

// Wrt reports that every input has a derivative.
func (Concat) Wrt(n int) []bool { return every(n) }

// Diff slices dy.
func (o Concat) Diff(b *Builder, in []Value, _, dy Value) []Value {
	out, at := make([]Value, len(in)), 0
	for i, x := range in {
		s := x.Shape()
		out[i] = b.narrow(dy, o.Axis, at, s[o.Axis])
		at += s[o.Axis]
	}
	return out
}

// Emit writes Concat.
func (o Concat) Emit(e *Emitter, s Operands) string {
	return e.Node("Concat", s.In, onnx.Int("axis", int64(o.Axis)))
}

func readConcat(r *reader, n *pb.NodeProto) Value {
	if len(n.Input) == 0 {
		r.fail("no inputs, expected one or more")
	}
	in := make([]Value, len(n.Input))
	for i := range in {
		in[i] = r.in(n, i)
	}
	return r.Apply(Concat{r.axis(n, 1, len(in[0].Shape()))}, in...)
}
