package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// ReduceTo adds up over dimensions so that Shape remains, which would broadcast
// to the input's.
type ReduceTo struct{ Shape Shape }

// Infer wants an input that Shape broadcasts to.
func (o ReduceTo) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("%d inputs, expected 1", len(in))
	}
	if s, err := broadcast(in[0], o.Shape); err != nil || !s.Equal(in[0]) {
		return nil, fmt.Errorf("an input of shape %v cannot be added up to %v", in[0], o.Shape)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the kernel.
func (o ReduceTo) Run32(c Call[float32]) { reduceTo(c) }

// Run64 is the kernel.
func (o ReduceTo) Run64(c Call[float64]) { reduceTo(c) }

func reduceTo[T Float](c Call[T]) {
	sums := make([]float64, len(c.Dst))
	walk(c.Shapes[0], spread(c.Shape, c.Shapes[0]), func(from, to int) { sums[to] += float64(c.In[0][from]) })
	for i, x := range sums {
		c.Dst[i] = T(x)
	}
}

// Wrt is the input.
func (ReduceTo) Wrt(n int) []bool { return every(n) }

// Diff spreads dy.
func (ReduceTo) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(Expand{in[0].Shape()}, dy)}
}

// Emit is ReduceSum.
func (o ReduceTo) Emit(e *Emitter, s Site) string {
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

// reduceTo is v itself where the shape is its own.
func (b *Builder) reduceTo(v Value, s Shape) Value {
	if v.Shape().Equal(s) {
		return v
	}
	return b.Apply(ReduceTo{s}, v)
}

// Expand broadcasts the input to a shape.
type Expand struct{ Shape Shape }

// Infer wants an input that broadcasts to Shape.
func (o Expand) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("%d inputs, expected 1", len(in))
	}
	if s, err := broadcast(in[0], o.Shape); err != nil || !s.Equal(o.Shape) {
		return nil, fmt.Errorf("an input of shape %v does not broadcast to %v", in[0], o.Shape)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the kernel.
func (o Expand) Run32(c Call[float32]) { expand(c) }

// Run64 is the kernel.
func (o Expand) Run64(c Call[float64]) { expand(c) }

func expand[T Float](c Call[T]) {
	walk(c.Shape, spread(c.Shapes[0], c.Shape), func(to, from int) { c.Dst[to] = c.In[0][from] })
}

// Wrt is the input.
func (Expand) Wrt(n int) []bool { return every(n) }

// Diff adds dy up.
func (Expand) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.reduceTo(dy, in[0].Shape())}
}

// Emit is Expand.
func (o Expand) Emit(e *Emitter, s Site) string {
	return e.Node("Expand", []string{s.In[0], e.Ints(o.Shape...)})
}

// ReduceMean is the mean over axes, which go.
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

// kept is a shape with axes of size 1.
func kept(s Shape, axes []int) Shape {
	out := slices.Clone(s)
	for _, a := range axes {
		out[a] = 1
	}
	return out
}

// Run32 is the kernel.
func (o ReduceMean) Run32(c Call[float32]) { mean(o, c) }

// Run64 is the kernel.
func (o ReduceMean) Run64(c Call[float64]) { mean(o, c) }

func mean[T Float](o ReduceMean, c Call[T]) {
	sums := make([]float64, len(c.Dst))
	s := c.Shapes[0]
	walk(s, spread(kept(s, o.Axes), s), func(from, to int) { sums[to] += float64(c.In[0][from]) })
	by := float64(len(c.In[0])) / float64(len(c.Dst))
	for i, x := range sums {
		c.Dst[i] = T(x / by)
	}
}

// Wrt is the input.
func (ReduceMean) Wrt(n int) []bool { return every(n) }

// Diff spreads dy over what it is the mean of.
func (o ReduceMean) Diff(b *Builder, in []Value, _, dy Value) []Value {
	s := in[0].Shape()
	part := float64(dy.Shape().Size()) / float64(s.Size())
	return []Value{b.Apply(Expand{s}, b.reshape(b.scale(dy, part), kept(s, o.Axes)))}
}

// Emit is ReduceMean.
func (o ReduceMean) Emit(e *Emitter, s Site) string {
	return e.Node("ReduceMean", s.In, list("axes", o.Axes...), onnx.Int("keepdims", 0))
}

// readReduce is ReduceMean and ReduceSum. Without axes all go.
func readReduce(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	axes := r.axes(r.listed(n, 1, "axes"), len(s))
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
		y = r.reduceTo(x, kept(s, axes))
	}
	if r.int(n, "keepdims", 1) != 0 {
		return r.reshape(y, kept(s, axes))
	}
	return r.reshape(y, r.squeezed(kept(s, axes), axes))
}

// readGlobalAveragePool is the mean over space, which stays as 1x1.
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
	return r.reshape(r.Apply(ReduceMean{axes}, x), kept(s, axes))
}
