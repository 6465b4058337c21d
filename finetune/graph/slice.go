package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Slice takes Sizes[i] elements along each dimension i, from Starts[i] on, in
// steps of Steps[i], which may be negative.
type Slice struct{ Starts, Steps, Sizes []int }

// Infer returns Sizes if the slice lies within the input.
func (o Slice) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 || len(in[0]) != len(o.Sizes) || len(o.Starts) != len(o.Sizes) || len(o.Steps) != len(o.Sizes) {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of %d dimensions", in, len(o.Sizes))
	}
	for i, n := range o.Sizes {
		last := o.Starts[i] + (n-1)*o.Steps[i]
		if n < 1 || min(o.Starts[i], last) < 0 || max(o.Starts[i], last) >= in[0][i] {
			return nil, fmt.Errorf("%+v does not lie within %v", o, in[0])
		}
	}
	return slices.Clone(o.Sizes), nil
}

// Run32 is the float32 kernel.
func (o Slice) Run32(c Call[float32]) { slice(o, c.Dst, c.In[0], c.Shapes[0]) }

// Run64 is the float64 kernel.
func (o Slice) Run64(c Call[float64]) { slice(o, c.Dst, c.In[0], c.Shapes[0]) }

func slice[T any](o Slice, dst, src []T, shape Shape) {
	first, step := o.strided(shape)
	walk(o.Sizes, step, func(to, from int) { dst[to] = src[first+from] })
}

// strided returns where the slice's first element lies in a tensor of a shape, and
// the strides from there.
func (o Slice) strided(shape Shape) (first int, step []int) {
	step = make([]int, len(shape))
	for i, d := range shape.strides() {
		first += o.Starts[i] * d
		step[i] = o.Steps[i] * d
	}
	return first, step
}

// Wrt reports that the input has a derivative.
func (Slice) Wrt(n int) []bool { return every(n) }

// Diff writes dy into zeros where the slice was taken.
func (o Slice) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(SliceGradient{o, in[0].Shape()}, dy)}
}

// Emit writes Slice for the dimensions that change.
func (o Slice) Emit(e *Emitter, s Operands) string {
	var axes, starts, ends, steps []int
	for i, d := range s.Shapes[0] {
		if o.Starts[i] == 0 && o.Steps[i] == 1 && o.Sizes[i] == d {
			continue
		}
		end := o.Starts[i] + o.Steps[i]*o.Sizes[i]
		if end < 0 {
			end = -d - 1 // before the first element
		}
		axes, starts, ends, steps = append(axes, i), append(starts, o.Starts[i]), append(ends, end), append(steps, o.Steps[i])
	}
	if len(axes) == 0 {
		return s.In[0]
	}
	return e.Slice(s.In[0], axes, starts, ends, steps)
}

// SliceGradient writes its input into a tensor of Shape where Slice would take it
// from; all other elements are zero.
type SliceGradient struct {
	Slice Slice
	Shape Shape
}

// Infer returns Shape.
func (o SliceGradient) Infer(in []Shape) (Shape, error) {
	s, err := o.Slice.Infer([]Shape{o.Shape})
	if err != nil {
		return nil, err
	}
	if len(in) != 1 || !in[0].Equal(s) {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of %v", in, s)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the float32 kernel.
func (o SliceGradient) Run32(c Call[float32]) { sliceGradient(o, c) }

// Run64 is the float64 kernel.
func (o SliceGradient) Run64(c Call[float64]) { sliceGradient(o, c) }

func sliceGradient[T Float](o SliceGradient, c Call[T]) {
	clear(c.Dst)
	first, step := o.Slice.strided(o.Shape)
	walk(o.Slice.Sizes, step, func(from, to int) { c.Dst[first+to] = c.In[0][from] })
}

// Wrt reports that the input has a derivative.
func (SliceGradient) Wrt(n int) []bool { return every(n) }

// Diff slices dy.
func (o SliceGradient) Diff(b *Builder, _ []Value, _, dy Value) []Value {
	return []Value{b.Apply(o.Slice, dy)}
}

// Emit pads with zeros. For a step above 1 it first puts zeros after each element,
// by padding an extra dimension, and cuts off those past the end.
func (o SliceGradient) Emit(e *Emitter, s Operands) string {
	v, shape := s.In[0], slices.Clone(s.Shapes[0])
	before, after := make([]int, len(shape)), make([]int, len(shape))
	for i, step := range o.Slice.Steps {
		n, d, first := shape[i], o.Shape[i], o.Slice.Starts[i]
		if step < 0 { // reverse
			v = e.Slice(v, []int{i}, []int{n - 1}, []int{-n - 1}, []int{-1})
			first, step = first+(n-1)*step, -step
		}
		if step > 1 && n > 1 {
			wide := slices.Insert(slices.Clone(shape), i+1, 1)
			zeros := make([]int, len(wide))
			zeros[i+1] = step - 1
			v = e.zeroPad(e.Reshape(v, wide...), make([]int, len(wide)), zeros)
			shape[i] = n * step
			v = e.Reshape(v, shape...)
			if shape[i] > d-first {
				v = e.Slice(v, []int{i}, []int{0}, []int{d - first}, []int{1})
				shape[i] = d - first
			}
		}
		before[i], after[i] = first, d-first-shape[i]
	}
	return e.zeroPad(v, before, after)
}

// zeroPad pads a value with zeros.
func (e *Emitter) zeroPad(v string, before, after []int) string {
	if !slices.ContainsFunc(slices.Concat(before, after), func(n int) bool { return n != 0 }) {
		return v
	}
	return e.Node("Pad", []string{v, e.Ints(slices.Concat(before, after)...)})
}

// narrow takes n elements from start on along an axis, as torch.narrow does.
func (b *Builder) narrow(v Value, axis, start, n int) Value {
	s := v.Shape()
	if start == 0 && n == s[axis] {
		return v
	}
	o := wholeSlice(s)
	o.Starts[axis], o.Sizes[axis] = start, n
	return b.Apply(o, v)
}

// wholeSlice is the slice of a whole tensor.
func wholeSlice(s Shape) Slice {
	return Slice{make([]int, len(s)), slices.Repeat([]int{1}, len(s)), slices.Clone(s)}
}

func readSlice(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	return r.Apply(r.slice(n, x.Shape()), x)
}

// slice reads starts, ends, axes and steps: attributes before opset 10, inputs
// since.
func (r *reader) slice(n *pb.NodeProto, s Shape) Slice {
	starts, ends, axes, steps := r.intsOf(n, 1, "starts"), r.intsOf(n, 2, "ends"), r.intsOf(n, 3, "axes"), r.intsOf(n, 4, "steps")
	for i := len(axes); i < len(starts); i++ {
		axes = append(axes, i)
	}
	for i := len(steps); i < len(starts); i++ {
		steps = append(steps, 1)
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		r.fail("starts %v, ends %v, axes %v and steps %v, expected as many of each", starts, ends, axes, steps)
	}
	o := wholeSlice(s)
	for i, a := range r.axes(axes, len(s)) {
		d, start, end, step := s[a], starts[i], ends[i], steps[i]
		if step == 0 {
			r.fail("steps %v, expected none of 0", steps)
		}
		low, high := 0, d // where start and end may lie
		if step < 0 {
			low, high = -1, d-1
		}
		if start < 0 {
			start += d
		}
		if end < 0 {
			end += d
		}
		start, end = min(max(start, max(low, 0)), high), min(max(end, low), high)
		count := (end - start + step - sign(step)) / step
		if count < 1 {
			r.fail("nothing is left of dimension %d of %v from %d to %d by %d", a, s, starts[i], ends[i], step)
		}
		o.Starts[a], o.Steps[a], o.Sizes[a] = start, step, count
	}
	return o
}

func sign(x int) int {
	if x < 0 {
		return -1
	}
	return 1
}

// readSplit reads a Split. It returns the first output and sets the others.
func readSplit(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	axis := r.axis(n, 0, len(s))
	parts := r.intsOf(n, 1, "split")
	if len(parts) == 0 {
		each := (s[axis] + len(n.Output) - 1) / len(n.Output)
		for left := s[axis]; left > 0; left -= each {
			parts = append(parts, min(each, left))
		}
	}
	total := 0
	for _, p := range parts {
		total += p
	}
	if len(parts) != len(n.Output) || total != s[axis] || slices.Min(parts) < 1 {
		r.fail("parts %v of %d, expected %d that add up to it", parts, s[axis], len(n.Output))
	}
	first, at := Value{}, 0
	for i, p := range parts {
		v := r.narrow(x, axis, at, p)
		at += p
		if i == 0 {
			first = v
		} else if n.Output[i] != "" {
			r.set(n.Output[i], v)
		}
	}
	return first
}
