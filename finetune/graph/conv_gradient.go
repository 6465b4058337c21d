package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
)

// ConvGradientInput is the gradient of a Conv by x, which has the shape Input;
// its inputs are w and dy.
type ConvGradientInput struct {
	Conv  Conv
	Input Shape
}

// Infer is the shape of x.
func (o ConvGradientInput) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, expected w and dy", len(in))
	}
	return slices.Clone(o.Input), o.Conv.check(o.Input, in[0], in[1])
}

// check tells whether dy fits.
func (o Conv) check(x, w, dy Shape) error {
	g, err := o.window(x, w)
	if err == nil && !dy.Equal(g.output()) {
		err = fmt.Errorf("dy of shape %v, expected %v", dy, g.output())
	}
	return err
}

// Run32 is the kernel.
func (o ConvGradientInput) Run32(c Call[float32]) { convGradientInput(o, c) }

// Run64 is the kernel.
func (o ConvGradientInput) Run64(c Call[float64]) { convGradientInput(o, c) }

// Emit is a Conv of dy with the flipped kernel where the stride is 1, which is
// the fastest, else a ConvTranspose.
func (o ConvGradientInput) Emit(e *Emitter, s Site) string {
	g, _ := o.Conv.window(o.Input, s.Shapes[0])
	w, dy := s.In[0], s.In[1]
	var pads, rest [4]int
	for i := range 2 {
		pads[i], pads[i+2] = g.reach(i)-1-g.Pads[i], g.reach(i)-1-g.Pads[i+2]
		rest[i] = ([2]int{g.h, g.w}[i] + g.Pads[i] + g.Pads[i+2] - g.reach(i)) % g.Strides[i] // that no step reaches
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
		const all = -1 << 31 // further back than any size
		w = e.Slice(w, []int{2, 3}, []int{-1, -1}, []int{all, all}, []int{-1, -1})
	}
	return e.Node("Conv", []string{dy, w}, g.attributes(pads)...)
}

// ConvGradientWeight is the gradient of a Conv by w, which has the shape Weight;
// its inputs are x and dy.
type ConvGradientWeight struct {
	Conv   Conv
	Weight Shape
}

// Infer is the shape of w.
func (o ConvGradientWeight) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, expected x and dy", len(in))
	}
	return slices.Clone(o.Weight), o.Conv.check(in[0], o.Weight, in[1])
}

// Run32 is the kernel.
func (o ConvGradientWeight) Run32(c Call[float32]) { convGradientWeight(o, c) }

// Run64 is the kernel.
func (o ConvGradientWeight) Run64(c Call[float64]) { convGradientWeight(o, c) }

// Emit chooses the fastest of several sums of products, by the sizes.
func (o ConvGradientWeight) Emit(e *Emitter, s Site) string {
	g, _ := o.Conv.window(s.Shapes[0], o.Weight)
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

// ChannelSum is the sum [C] over all dimensions of x [N,C,...] but the second:
// the gradient of a value that is added to each channel.
type ChannelSum struct{}

// Infer is the number of channels.
func (ChannelSum) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 || len(in[0]) < 2 {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of [N,C,...]", in)
	}
	return Shape{in[0][1]}, nil
}

// Run32 is the kernel.
func (ChannelSum) Run32(c Call[float32]) { channelSum(c) }

// Run64 is the kernel.
func (ChannelSum) Run64(c Call[float64]) { channelSum(c) }

func channelSum[T Float](c Call[T]) {
	x, s := c.In[0], c.Shapes[0]
	parallel(s[1], func(channel int) {
		c.Dst[channel] = T(overChannel(s, channel, func(i int) float64 { return float64(x[i]) }))
	})
}

// overChannel sums f of the elements of a channel of [N,C,...].
func overChannel(s Shape, channel int, f func(i int) float64) float64 {
	total, area := 0.0, s[2:].Size()
	for n := range s[0] {
		from := (n*s[1] + channel) * area
		for i := from; i < from+area; i++ {
			total += f(i)
		}
	}
	return total
}

// Emit sums rows first: short sums are exact and fast ones.
func (ChannelSum) Emit(e *Emitter, s Site) string { return e.channelSum(s.In[0], s.Shapes[0]) }

// channelSum is the sum over all dimensions of a value but the second.
func (e *Emitter) channelSum(v string, s Shape) string {
	if area := s[2:].Size(); area > 1 {
		v = e.Sum(e.Reshape(v, s[0]*s[1], area), 1)
	}
	return e.Sum(e.Reshape(v, s[0], s[1]), 0)
}
