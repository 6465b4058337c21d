package graph

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Pick takes rows of x, which is seen as a matrix of rows of Width elements, by an
// index for each row of the output [n,Width]. Its inputs are x and the indices [n],
// whole numbers from 0 to the number of rows - 1. Rows may be taken several times.
//
// Indices are float32 like all values of a program, which holds integers exactly up to
// 2^24: x may have no more rows.
type Pick struct{ Width int }

// maxRows is the most rows that float32 indices tell apart.
const maxRows = 1 << 24

// Infer expects an x of whole rows, and a vector of indices.
func (o Pick) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 || len(in[1]) != 1 {
		return nil, fmt.Errorf("inputs of shapes %v, expected x and indices [n]", in)
	}
	return Shape{in[1][0], o.Width}, o.check(in[0])
}

// check reports whether x can be seen as a matrix of rows that indices tell apart.
func (o Pick) check(x Shape) error {
	if size := x.Size(); o.Width < 1 || size%o.Width != 0 || size/o.Width > maxRows {
		return fmt.Errorf("x of shape %v as rows of %d elements, expected at most %d whole rows", x, o.Width, maxRows)
	}
	return nil
}

// Run32 is the float32 kernel. It panics at an index that is not that of a row.
func (o Pick) Run32(c Call[float32]) { pick(o, c) }

// Run64 is the float64 kernel. It panics at an index that is not that of a row.
func (o Pick) Run64(c Call[float64]) { pick(o, c) }

func pick[T Float](o Pick, c Call[T]) {
	for i, at := range c.In[1] {
		copy(c.Dst[i*o.Width:][:o.Width], rowOf(c.In[0], at, o.Width))
	}
}

// rowOf is the row of x, of width elements, that a float is the index of.
func rowOf[T Float](x []T, at T, width int) []T {
	if row := int(at); T(row) == at && row >= 0 && row < len(x)/width {
		return x[row*width:][:width]
	}
	panic(fmt.Sprintf("graph: index %v of %d rows", at, len(x)/width))
}

// Wrt reports that only x has a derivative.
func (Pick) Wrt(n int) []bool { return first(n) }

// Diff adds each row of dy to the row that it was taken from.
func (o Pick) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(PickGradient{o, in[0].Shape()}, in[1], dy), {}}
}

// Emit writes Gather.
func (o Pick) Emit(e *Emitter, s Operands) string {
	rows := e.Reshape(s.In[0], s.Shapes[0].Size()/o.Width, o.Width)
	return e.Node("Gather", []string{rows, e.index(s.In[1])}, onnx.Int("axis", 0))
}

// index casts float32 indices to int64.
func (e *Emitter) index(v string) string {
	return e.Node("Cast", []string{v}, onnx.Int("to", int64(pb.TensorProto_INT64)))
}

// PickGradient adds each row of dy to a row of a tensor of zeros of the given shape;
// its inputs are the indices of the rows and dy.
type PickGradient struct {
	Pick  Pick
	Shape Shape // of x
}

// Infer returns the shape of x.
func (o PickGradient) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 || len(in[0]) != 1 || !in[1].Equal(Shape{in[0][0], o.Pick.Width}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected indices [n] and dy [n,%d]", in, o.Pick.Width)
	}
	return o.Shape, o.Pick.check(o.Shape)
}

// Run32 is the float32 kernel. It panics at an index that is not that of a row.
func (o PickGradient) Run32(c Call[float32]) { pickGradient(o, c) }

// Run64 is the float64 kernel. It panics at an index that is not that of a row.
func (o PickGradient) Run64(c Call[float64]) { pickGradient(o, c) }

func pickGradient[T Float](o PickGradient, c Call[T]) {
	clear(c.Dst)
	for i, at := range c.In[0] {
		row := rowOf(c.Dst, at, o.Pick.Width)
		for j, v := range c.In[1][i*o.Pick.Width:][:o.Pick.Width] {
			row[j] += v
		}
	}
}

// Emit writes ScatterElements into zeros. ScatterND would be faster, but where it adds
// rows of equal indices, onnxruntime's threads for the CPU overwrite each other's sums.
func (o PickGradient) Emit(e *Emitter, s Operands) string {
	n, width := s.Shapes[0][0], o.Pick.Width
	zeros := e.Node("Expand", []string{e.Number(0), e.Ints(o.Shape.Size()/width, width)})
	at := e.Node("Expand", []string{e.Node("Unsqueeze", []string{e.index(s.In[0]), e.Ints(1)}), e.Ints(n, width)})
	rows := e.Node("ScatterElements", []string{zeros, at, s.In[1]}, onnx.Int("axis", 0), onnx.String("reduction", "add"))
	return e.Reshape(rows, o.Shape...)
}
