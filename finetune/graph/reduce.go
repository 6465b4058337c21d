package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// ReduceTo sums its input to Shape, which must broadcast to the input's shape: it
// is the inverse of broadcasting.
type ReduceTo struct{ Shape Shape }

// Infer expects an input that Shape broadcasts to.
func (o ReduceTo) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("%d inputs, expected 1", len(in))
	}
	if s, err := broadcast(in[0], o.Shape); err != nil || !s.Equal(in[0]) {
		return nil, fmt.Errorf("an input of shape %v cannot be added up to %v", in[0], o.Shape)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the float32 kernel.
func (o ReduceTo) Run32(c Call[float32]) { reduceTo(c) }

// Run64 is the float64 kernel.
func (o ReduceTo) Run64(c Call[float64]) { reduceTo(c) }

func reduceTo[T Float](c Call[T]) {
	sums := make([]float64, len(c.Dst))
	walk(c.Shapes[0], broadcastStrides(c.Shape, c.Shapes[0]), func(from, to int) { sums[to] += float64(c.In[0][from]) })
	for i, x := range sums {
		c.Dst[i] = T(x)
	}
}

// Wrt reports that the input has a derivative.
func (ReduceTo) Wrt(n int) []bool { return every(n) }

// Diff broadcasts dy.
func (ReduceTo) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(Expand{in[0].Shape()}, dy)}
}

// Emit writes ReduceSum.
func (o ReduceTo) Emit(e *Emitter, s Operands) string {
	var axes []int
	ahead := len(s.Shapes[0]) - len(o.Shape)
	for i, d := range s.Shapes[0] {
		if i < ahead || o.Shape[i-ahead] != d {
			axes = append(axes, i)
		}
	}
	v := s.In[0]
	if len(axes) > 0 {
		v = e.Sum(v, axes...)
	}
	return e.Reshape(v, o.Shape...)
}

// reduceTo sums v to a shape; it returns v itself if it has that shape.
func (b *Builder) reduceTo(v Value, s Shape) Value {
	if v.Shape().Equal(s) {
		return v
	}
	return b.Apply(ReduceTo{s}, v)
}

// Expand broadcasts the input to a shape.
type Expand struct{ Shape Shape }

// Infer expects an input that broadcasts to Shape.
func (o Expand) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("%d inputs, expected 1", len(in))
	}
	if s, err := broadcast(in[0], o.Shape); err != nil || !s.Equal(o.Shape) {
		return nil, fmt.Errorf("an input of shape %v does not broadcast to %v", in[0], o.Shape)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the float32 kernel.
func (o Expand) Run32(c Call[float32]) { expand(c) }

// Run64 is the float64 kernel.
func (o Expand) Run64(c Call[float64]) { expand(c) }

func expand[T Float](c Call[T]) {
	walk(c.Shape, broadcastStrides(c.Shapes[0], c.Shape), func(to, from int) { c.Dst[to] = c.In[0][from] })
}

// Wrt reports that the input has a derivative.
func (Expand) Wrt(n int) []bool { return every(n) }

// Diff sums dy.
func (Expand) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.reduceTo(dy, in[0].Shape())}
}

// Emit writes Expand.
func (o Expand) Emit(e *Emitter, s Operands) string {
	return e.Node("Expand", []string{s.In[0], e.Ints(o.Shape...)})
}

// ReduceMean is the mean over axes, which are dropped.
type ReduceMean struct{ Axes []int }

// Infer drops the axes.
func (o ReduceMean) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("%d inputs, expected 1", len(in))
	}
	out := Shape{}
	for i, d := range in[0] {
		if !slices.Contains(o.Axes, i) {
			out = append(out, d)
		}
	}
	if len(out)+len(o.Axes) != len(in[0]) {
		return nil, fmt.Errorf("axes %v of an input of shape %v", o.Axes, in[0])
	}
	return out, nil
}

// keepDims is a shape with the size of axes set to 1.
func keepDims(s Shape, axes []int) Shape {
	out := slices.Clone(s)
	for _, a := range axes {
		out[a] = 1
	}
	return out
}

// Run32 is the float32 kernel.
func (o ReduceMean) Run32(c Call[float32]) { mean(o, c) }

// Run64 is the float64 kernel.
func (o ReduceMean) Run64(c Call[float64]) { mean(o, c) }

func mean[T Float](o ReduceMean, c Call[T]) {
	sums := make([]float64, len(c.Dst))
	s := c.Shapes[0]
	walk(s, broadcastStrides(keepDims(s, o.Axes), s), func(from, to int) { sums[to] += float64(c.In[0][from]) })
	by := float64(len(c.In[0])) / float64(len(c.Dst))
	for i, x := range sums {
		c.Dst[i] = T(x / by)
	}
}

// Wrt reports that the input has a derivative.
func (ReduceMean) Wrt(n int) []bool { return every(n) }

// Diff spreads dy over the averaged elements.
func (o ReduceMean) Diff(b *Builder, in []Value, _, dy Value) []Value {
	s := in[0].Shape()
	part := float64(dy.Shape().Size()) / float64(s.Size())
	return []Value{b.Apply(Expand{s}, b.reshape(b.scale(dy, part), keepDims(s, o.Axes)))}
}

// Emit writes ReduceMean.
func (o ReduceMean) Emit(e *Emitter, s Operands) string {
	return e.Node("ReduceMean", s.In, intsAttribute("axes", o.Axes...), onnx.Int("keepdims", 0))
}

// readReduce reads a ReduceMean or ReduceSum. Without axes it reduces all
// dimensions.
func readReduce(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	axes := r.axes(r.intsOf(n, 1, "axes"), len(s))
	if len(axes) == 0 {
		if r.int(n, "noop_with_empty_axes", 0) != 0 {
			return x
		}
		for i := range s {
			axes = append(axes, i)
		}
	}
	slices.Sort(axes)
	var y Value
	if n.OpType == "ReduceMean" {
		y = r.Apply(ReduceMean{axes}, x)
	} else {
		y = r.reduceTo(x, keepDims(s, axes))
	}
	if r.int(n, "keepdims", 1) != 0 {
		return r.reshape(y, keepDims(s, axes))
	}
	return r.reshape(y, r.squeezed(keepDims(s, axes), axes))
}

// readGlobalAveragePool reads a GlobalAveragePool, the mean over all spatial
// dimensions, which keep size 1.
func readGlobalAveragePool(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	if len(s) < 3 {
		r.fail("an input of shape %v, expected [N,C,...]", s)
	}
	axes := make([]int, len(s)-2)
	for i := range axes {
		axes[i] = i + 2
	}
	return r.reshape(r.Apply(ReduceMean{axes}, x), keepDims(s, axes))
}
