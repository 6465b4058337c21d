package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Pad adds elements before and after each dimension. Mode "constant" fills them
// with Value, "reflect" mirrors the tensor at its first and last element, "edge"
// repeats those.
type Pad struct {
	Mode          string // constant, reflect or edge
	Before, After []int
	Value         float64
}

// Infer returns the padded shape.
func (o Pad) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 || len(in[0]) != len(o.Before) || len(in[0]) != len(o.After) {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of %d dimensions", in, len(o.Before))
	}
	out := slices.Clone(in[0])
	for i, d := range out {
		if low, high := min(o.Before[i], o.After[i]), max(o.Before[i], o.After[i]); low < 0 || o.Mode == "reflect" && high >= d {
			return nil, fmt.Errorf("pads %v and %v of %v, expected none negative and reflections within", o.Before, o.After, in[0])
		}
		out[i] += o.Before[i] + o.After[i]
	}
	return out, nil
}

// sources maps each index along padded dimension i, of size d before padding, to
// the index that it is copied from; -1 stands for Value.
func (o Pad) sources(i, d int) []int {
	at := make([]int, o.Before[i]+d+o.After[i])
	for k := range at {
		from := k - o.Before[i]
		if from < 0 || from >= d {
			switch o.Mode {
			case "reflect":
				if from < 0 {
					from = -from
				} else {
					from = 2*(d-1) - from
				}
			case "edge":
				from = min(max(from, 0), d-1)
			default:
				from = -1
			}
		}
		at[k] = from
	}
	return at
}

// visit calls f for each element of the padded tensor with its index and the index
// that it is copied from, -1 for Value.
func (o Pad) visit(small, large Shape, f func(to, from int)) {
	tables := make([][]int, len(small))
	for i, d := range small {
		tables[i] = o.sources(i, d)
	}
	strides, at := small.strides(), make([]int, len(large))
	for to := range large.Size() {
		from := 0
		for i, k := range at {
			if tables[i][k] < 0 {
				from = -1
				break
			}
			from += tables[i][k] * strides[i]
		}
		f(to, from)
		for i := len(at) - 1; i >= 0; i-- {
			if at[i]++; at[i] < large[i] {
				break
			}
			at[i] = 0
		}
	}
}

// Run32 is the float32 kernel.
func (o Pad) Run32(c Call[float32]) { pad(o, c) }

// Run64 is the float64 kernel.
func (o Pad) Run64(c Call[float64]) { pad(o, c) }

func pad[T Float](o Pad, c Call[T]) {
	o.visit(c.Shapes[0], c.Shape, func(to, from int) {
		if c.Dst[to] = T(o.Value); from >= 0 {
			c.Dst[to] = c.In[0][from]
		}
	})
}

// Wrt reports that the input has a derivative.
func (Pad) Wrt(n int) []bool { return every(n) }

// Diff slices dy; in the other modes it also adds the gradients of the copies.
func (o Pad) Diff(b *Builder, in []Value, _, dy Value) []Value {
	s := in[0].Shape()
	if o.Mode == "constant" {
		return []Value{b.Apply(Slice{o.Before, wholeSlice(s).Steps, s}, dy)}
	}
	return []Value{b.Apply(PadGradient{o, s}, dy)}
}

// Emit writes Pad.
func (o Pad) Emit(e *Emitter, s Operands) string {
	in := []string{s.In[0], e.Ints(slices.Concat(o.Before, o.After)...)}
	if o.Mode == "constant" && o.Value != 0 {
		in = append(in, e.Number(o.Value))
	}
	return e.Node("Pad", in, &pb.AttributeProto{Name: "mode", Type: pb.AttributeProto_STRING, S: []byte(o.Mode)})
}

// PadGradient adds each element of its input dy to the element of a tensor of
// Shape that Pad copied there.
type PadGradient struct {
	Pad   Pad
	Shape Shape
}

// Infer returns Shape.
func (o PadGradient) Infer(in []Shape) (Shape, error) {
	s, err := o.Pad.Infer([]Shape{o.Shape})
	if err != nil {
		return nil, err
	}
	if len(in) != 1 || !in[0].Equal(s) {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of %v", in, s)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the float32 kernel.
func (o PadGradient) Run32(c Call[float32]) { padGradient(o, c) }

// Run64 is the float64 kernel.
func (o PadGradient) Run64(c Call[float64]) { padGradient(o, c) }

func padGradient[T Float](o PadGradient, c Call[T]) {
	clear(c.Dst)
	o.Pad.visit(o.Shape, c.Shapes[0], func(from, to int) {
		if to >= 0 {
			c.Dst[to] += c.In[0][from]
		}
	})
}

// Emit folds one dimension after the other: it adds the parts before and after the
// middle onto the elements that they were copied from.
func (o PadGradient) Emit(e *Emitter, s Operands) string {
	v := s.In[0]
	for i, d := range o.Shape {
		before, after := o.Pad.Before[i], o.Pad.After[i]
		if before == 0 && after == 0 {
			continue
		}
		part := func(start, n, first, step int) string {
			x := e.Slice(v, []int{i}, []int{start}, []int{start + n}, []int{1})
			if o.Pad.Mode == "edge" && step < 0 && n > 1 {
				x, n = e.Node("ReduceSum", []string{x, e.Ints(i)}, onnx.Int("keepdims", 1)), 1
			}
			if step < 0 && n > 1 {
				x = e.Slice(x, []int{i}, []int{n - 1}, []int{-n - 1}, []int{-1})
			}
			pads := make([]int, 2*len(o.Shape))
			pads[i], pads[len(o.Shape)+i] = first, d-first-n
			return e.zeroPad(x, pads[:len(o.Shape)], pads[len(o.Shape):])
		}
		sum := part(before, d, 0, 1)
		// Reflected, the part before holds elements before to 1, the part after d-2 to d-1-after.
		first, last := 1, d-1-after
		if o.Pad.Mode == "edge" {
			first, last = 0, d-1
		}
		if before > 0 {
			sum = e.Add(sum, part(0, before, first, -1))
		}
		if after > 0 {
			sum = e.Add(sum, part(before+d, after, last, -1))
		}
		v = sum
	}
	return v
}

// readPad reads a Pad, whose pads are an attribute before opset 11 and an input
// since, with axes since opset 18. Negative pads crop.
func readPad(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	pads, value := r.intsOf(n, 1, "pads"), r.float(n, "value", 0)
	if has(n, 2) {
		if _, v := r.floats(n.Input[2]); len(v) == 1 {
			value = float64(v[0])
		}
	}
	axes := make([]int, len(s))
	for i := range axes {
		axes[i] = i
	}
	if has(n, 3) {
		axes = r.axes(r.intInput(n, 3), len(s))
	}
	if len(pads) != 2*len(axes) {
		r.fail("pads %v, expected %d", pads, 2*len(axes))
	}
	o, cut := Pad{Mode: "constant", Before: make([]int, len(s)), After: make([]int, len(s)), Value: value}, wholeSlice(s)
	if a := attribute(n, "mode"); a != nil {
		o.Mode = string(a.S)
	}
	if !slices.Contains([]string{"constant", "reflect", "edge"}, o.Mode) {
		r.fail("mode %q, expected constant, reflect or edge", o.Mode)
	}
	if o.Mode != "constant" {
		o.Value = 0
	}
	for i, a := range axes {
		before, after := pads[i], pads[len(axes)+i]
		o.Before[a], o.After[a] = max(before, 0), max(after, 0)
		cut.Starts[a] = max(-before, 0)
		cut.Sizes[a] -= cut.Starts[a] + max(-after, 0)
	}
	if !s.Equal(cut.Sizes) {
		x = r.Apply(cut, x)
	}
	if !slices.ContainsFunc(slices.Concat(o.Before, o.After), func(p int) bool { return p > 0 }) {
		return x
	}
	return r.Apply(o, x)
}
