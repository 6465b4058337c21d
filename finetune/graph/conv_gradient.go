package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
)

// ConvGradientInput is the gradient of a Conv with respect to x, which has the
// shape Input; its inputs are w and dy.
type ConvGradientInput struct {
	Conv  Conv
	Input Shape
}

// Infer returns the shape of x.
func (o ConvGradientInput) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, expected w and dy", len(in))
	}
	return slices.Clone(o.Input), o.Conv.check(o.Input, in[0], in[1])
}

// check reports whether dy has the shape of the output.
func (o Conv) check(x, w, dy Shape) error {
	g, err := o.geometry(x, w)
	if err == nil && !dy.Equal(g.output()) {
		err = fmt.Errorf("dy of shape %v, expected %v", dy, g.output())
	}
	return err
}

// Wrt reports that both inputs have a derivative: the op is a transposed convolution
// of dy.
func (ConvGradientInput) Wrt(n int) []bool { return every(n) }

// Diff returns the gradient by w, for which the given gradient and dy change places,
// and the gradient by dy, which is a convolution of the given gradient.
func (o ConvGradientInput) Diff(b *Builder, in []Value, _, dx Value) []Value {
	w, dy := in[0], in[1]
	return []Value{b.Apply(ConvGradientWeight{o.Conv, w.Shape()}, dx, dy), b.Apply(o.Conv, dx, w)}
}

// Run32 is the float32 kernel.
func (o ConvGradientInput) Run32(c Call[float32]) { convGradientInput(o, c) }

// Run64 is the float64 kernel.
func (o ConvGradientInput) Run64(c Call[float64]) { convGradientInput(o, c) }

// Emit writes a Conv of dy with the flipped kernel if the stride is 1, which is
// fastest, and a ConvTranspose otherwise.
func (o ConvGradientInput) Emit(e *Emitter, s Operands) string {
	g, _ := o.Conv.geometry(o.Input, s.Shapes[0])
	w, dy := s.In[0], s.In[1]
	var pads, rest [4]int
	for i := range 2 {
		pads[i], pads[i+2] = g.reach(i)-1-g.Pads[i], g.reach(i)-1-g.Pads[i+2]
		rest[i] = ([2]int{g.h, g.w}[i] + g.Pads[i] + g.Pads[i+2] - g.reach(i)) % g.Strides[i] // rows or columns that no window reads
	}
	if g.Strides != [2]int{1, 1} || min(pads[0], pads[1], pads[2], pads[3]) < 0 {
		return e.Node("ConvTranspose", []string{dy, w}, g.attributes(g.Pads, onnx.Ints("output_padding", int64(rest[0]), int64(rest[1])))...)
	}
	switch {
	case g.outer == 1 || g.inner == 1:
		if g.outer != g.inner {
			w = e.Reshape(w, g.c, g.outer, g.kh, g.kw)
		}
	case g.Group == 1:
		w = e.Transpose(w, 1, 0, 2, 3)
	default:
		w = e.Transpose(e.Reshape(w, g.Group, g.outer, g.inner, g.kh, g.kw), 0, 2, 1, 3, 4)
		w = e.Reshape(w, g.c, g.outer, g.kh, g.kw)
	}
	if g.kernel > 1 {
		const all = -1 << 31 // before the first element, whatever the size
		w = e.Slice(w, []int{2, 3}, []int{-1, -1}, []int{all, all}, []int{-1, -1})
	}
	return e.Node("Conv", []string{dy, w}, g.attributes(pads)...)
}

// ConvGradientWeight is the gradient of a Conv with respect to w, which has the
// shape Weight; its inputs are x and dy.
type ConvGradientWeight struct {
	Conv   Conv
	Weight Shape
}

// Infer returns the shape of w.
func (o ConvGradientWeight) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, expected x and dy", len(in))
	}
	return slices.Clone(o.Weight), o.Conv.check(in[0], o.Weight, in[1])
}

// Run32 is the float32 kernel.
func (o ConvGradientWeight) Run32(c Call[float32]) { convGradientWeight(o, c) }

// Run64 is the float64 kernel.
func (o ConvGradientWeight) Run64(c Call[float64]) { convGradientWeight(o, c) }

// Emit writes whichever of several formulas is fastest for these sizes.
func (o ConvGradientWeight) Emit(e *Emitter, s Operands) string {
	g, _ := o.Conv.geometry(s.Shapes[0], o.Weight)
	x, dy := s.In[0], s.In[1]
	switch {
	case g.depthwise() && g.Group > 1:
		return g.perChannel(e, x, dy)
	case g.Group > 1:
		return g.perOffset(e, x, dy)
	case g.pointwise():
		return g.perPixel(e, x, dy)
	case g.Strides == [2]int{1, 1} && g.plane >= 56*56:
		return g.rowsAndColumns(e, x, dy)
	case g.Strides == [2]int{2, 2} && g.Dilations == [2]int{1, 1} && g.c <= 4 && g.kh >= 5 && g.kw >= 5 && g.kh%2 == 1 && g.kw%2 == 1:
		return g.spaceToDepth(e, x, dy)
	}
	return g.perOffset(e, x, dy)
}
