package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// AveragePool is the mean of each window over the elements that lie in the image
// or, with Padding, in the padded image. The overhang that Ceil adds never counts.
type AveragePool struct {
	Window  Window
	Padding bool // count_include_pad
}

// Infer applies the window's shape rule.
func (o AveragePool) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("%d inputs, expected 1", len(in))
	}
	return o.Window.infer(in[0])
}

// counts is the divisor of each window's sum, [OH,OW].
func (o AveragePool) counts(in, out Shape) []int {
	n := make([]int, out[2]*out[3])
	w := o.Window
	along := func(axis, at int) (count int) {
		low, high := 0, in[2+axis]
		if o.Padding {
			low, high = -w.Pads[axis], high+w.Pads[axis+2]
		}
		for i := range w.Kernel[axis] {
			if v := at*w.Strides[axis] - w.Pads[axis] + i*w.Dilations[axis]; v >= low && v < high {
				count++
			}
		}
		return count
	}
	for i := range n {
		n[i] = along(0, i/out[3]) * along(1, i%out[3])
	}
	return n
}

// Run32 is the float32 kernel.
func (o AveragePool) Run32(c Call[float32]) { averagePool(o, c) }

// Run64 is the float64 kernel.
func (o AveragePool) Run64(c Call[float64]) { averagePool(o, c) }

func averagePool[T Float](o AveragePool, c Call[T]) {
	in, counts := c.Shapes[0], o.counts(c.Shapes[0], c.Shape)
	area := in[2] * in[3]
	parallel(in[0]*in[1], func(plane int) {
		x := c.In[0][plane*area:][:area]
		for i, n := range counts {
			var sum T
			o.Window.taps(in, i/c.Shape[3], i%c.Shape[3], func(at int) { sum += x[at] })
			c.Dst[plane*len(counts)+i] = sum / T(n)
		}
	})
}

// Wrt reports that the input has a derivative.
func (AveragePool) Wrt(n int) []bool { return every(n) }

// Diff spreads dy over the windows.
func (o AveragePool) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(AveragePoolGradient{o, in[0].Shape()}, dy)}
}

// Emit writes AveragePool, and corrects the divisor of windows that Ceil lets hang
// over the padding. Opset 17 has no dilations: then the sums are a convolution of
// each channel with ones.
func (o AveragePool) Emit(e *Emitter, s Operands) string {
	in, w := s.Shapes[0], o.Window
	if w.Dilations != [2]int{1, 1} {
		planes := e.Reshape(s.In[0], in[0]*in[1], 1, in[2], in[3])
		sums := e.Node("Conv", []string{planes, w.ones(e)}, w.attributes(in, s.Shape)...)
		return o.scale(e, e.Reshape(sums, s.Shape...), in, s.Shape, 1)
	}
	flag := int64(0)
	if o.Padding {
		flag = 1
	}
	v := e.Node("AveragePool", s.In, append(w.attributes(in, s.Shape), onnx.Int("count_include_pad", flag))...)
	if !o.Padding {
		return v
	}
	return o.scale(e, v, in, s.Shape, w.Kernel[0]*w.Kernel[1])
}

// ones is the weight of a convolution that sums each window.
func (w Window) ones(e *Emitter) string {
	return e.Floats(Shape{1, 1, w.Kernel[0], w.Kernel[1]}, slices.Repeat([]float32{1}, w.Kernel[0]*w.Kernel[1])...)
}

// scale multiplies the value of each window by factor / count.
func (o AveragePool) scale(e *Emitter, v string, in, out Shape, factor int) string {
	by, one := make([]float32, out[2]*out[3]), true
	for i, n := range o.counts(in, out) {
		by[i] = float32(float64(factor) / float64(n))
		one = one && by[i] == by[0]
	}
	switch {
	case one && by[0] == 1:
		return v
	case one:
		return e.Mul(v, e.Number(float64(by[0])))
	}
	return e.Mul(v, e.Floats(Shape{1, 1, out[2], out[3]}, by...))
}

// AveragePoolGradient spreads its input dy over the windows of an image of Shape.
type AveragePoolGradient struct {
	Pool  AveragePool
	Shape Shape
}

// Infer returns Shape.
func (o AveragePoolGradient) Infer(in []Shape) (Shape, error) {
	s, err := o.Pool.Window.infer(o.Shape)
	if err != nil {
		return nil, err
	}
	if len(in) != 1 || !in[0].Equal(s) {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of %v", in, s)
	}
	return o.Shape, nil
}

// Run32 is the float32 kernel.
func (o AveragePoolGradient) Run32(c Call[float32]) { averagePoolGradient(o, c) }

// Run64 is the float64 kernel.
func (o AveragePoolGradient) Run64(c Call[float64]) { averagePoolGradient(o, c) }

func averagePoolGradient[T Float](o AveragePoolGradient, c Call[T]) {
	clear(c.Dst)
	out, counts := c.Shapes[0], o.Pool.counts(o.Shape, c.Shapes[0])
	area := o.Shape[2] * o.Shape[3]
	parallel(out[0]*out[1], func(plane int) {
		dx := c.Dst[plane*area:][:area]
		for i, n := range counts {
			part := c.In[0][plane*len(counts)+i] / T(n)
			o.Pool.Window.taps(o.Shape, i/out[3], i%out[3], func(at int) { dx[at] += part })
		}
	})
}

// Emit writes a transposed convolution of each channel with ones, or an Expand if
// the windows tile the image.
func (o AveragePoolGradient) Emit(e *Emitter, s Operands) string {
	w, in, out := o.Pool.Window, o.Shape, s.Shapes[0]
	v := o.Pool.scale(e, s.In[0], in, out, 1)
	pads := w.pads(in, out)
	if w.Kernel == w.Strides && w.Dilations == [2]int{1, 1} && pads == [4]int{} {
		planes := in[0] * in[1]
		v = e.Reshape(v, planes, out[2], 1, out[3], 1)
		return e.Reshape(e.Node("Expand", []string{v, e.Ints(planes, out[2], w.Kernel[0], out[3], w.Kernel[1])}), in...)
	}
	var extra [2]int
	for i := range 2 {
		if pads[i+2] < 0 { // trailing rows that no window reads
			extra[i], pads[i+2] = -pads[i+2], 0
		}
	}
	v = e.Reshape(v, in[0]*in[1], 1, out[2], out[3])
	v = e.Node("ConvTranspose", []string{v, w.ones(e)},
		intsAttribute("strides", w.Strides[:]...), intsAttribute("dilations", w.Dilations[:]...), intsAttribute("pads", pads[:]...), intsAttribute("output_padding", extra[:]...))
	return e.Reshape(v, in...)
}

func readAveragePool(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	return r.Apply(AveragePool{r.window(n, x.Shape()), r.int(n, "count_include_pad", 0) != 0}, x)
}
