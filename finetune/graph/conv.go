package graph

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Conv is a two-dimensional convolution (a cross-correlation, as in ONNX and
// PyTorch); its inputs are x [N,C,H,W], w [O,C/Group,kH,kW] and optionally a bias
// [O].
type Conv struct {
	Pads               [4]int // top, left, bottom, right
	Strides, Dilations [2]int // along H and W
	Group              int
}

// convGeometry is a Conv with the sizes of its tensors.
type convGeometry struct {
	Conv
	n, c, h, w     int // of x
	o, oh, ow      int // of the output
	kh, kw         int
	inner, outer   int // channels of x and of the output in each group
	area, plane    int // h·w, oh·ow
	kernel, column int // kh·kw, inner·kh·kw
}

// geometry checks the shapes of x and w and computes the sizes that follow.
func (o Conv) geometry(x, w Shape) (g convGeometry, err error) {
	if len(x) != 4 || len(w) != 4 {
		return g, fmt.Errorf("x of shape %v and a weight of shape %v, expected [N,C,H,W] and [O,C/group,kH,kW]", x, w)
	}
	g = convGeometry{Conv: o, n: x[0], c: x[1], h: x[2], w: x[3], o: w[0], kh: w[2], kw: w[3], inner: w[1]}
	if o.Group < 1 || g.inner*o.Group != g.c || g.o%o.Group != 0 {
		return g, fmt.Errorf("x of shape %v and a weight of shape %v in %d groups, expected [O,C/group,kH,kW]", x, w, o.Group)
	}
	for i, v := range []int{o.Strides[0], o.Strides[1], o.Dilations[0], o.Dilations[1], g.kh, g.kw} {
		if v < 1 {
			return g, fmt.Errorf("%s of %d, expected 1 or more", []string{"a stride", "a dilation", "a kernel"}[i/2], v)
		}
	}
	for _, p := range o.Pads {
		if p < 0 {
			return g, fmt.Errorf("pads %v, expected none below 0", o.Pads)
		}
	}
	g.oh = (g.h+o.Pads[0]+o.Pads[2]-g.reach(0))/o.Strides[0] + 1
	g.ow = (g.w+o.Pads[1]+o.Pads[3]-g.reach(1))/o.Strides[1] + 1
	if g.h+o.Pads[0]+o.Pads[2] < g.reach(0) || g.w+o.Pads[1]+o.Pads[3] < g.reach(1) {
		return g, fmt.Errorf("a kernel that spans %dx%d over x of shape %v with pads %v: larger images are needed", g.reach(0), g.reach(1), x, o.Pads)
	}
	g.outer = g.o / o.Group
	g.area, g.plane, g.kernel = g.h*g.w, g.oh*g.ow, g.kh*g.kw
	g.column = g.inner * g.kernel
	return g, nil
}

// reach is the size of the dilated kernel along H (0) or W (1).
func (g convGeometry) reach(axis int) int { return ([2]int{g.kh, g.kw}[axis]-1)*g.Dilations[axis] + 1 }

// depthwise tells whether each output channel reads one channel of x.
func (g convGeometry) depthwise() bool { return g.inner == 1 }

// pointwise tells whether the kernel is 1x1 without pads.
func (g convGeometry) pointwise() bool { return g.kernel == 1 && g.Pads == [4]int{} }

func (g convGeometry) output() Shape { return Shape{g.n, g.o, g.oh, g.ow} }

// Infer returns the output's shape; an incomplete last window is dropped.
func (o Conv) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 && len(in) != 3 {
		return nil, fmt.Errorf("%d inputs, expected x, w and perhaps a bias", len(in))
	}
	g, err := o.geometry(in[0], in[1])
	if err == nil && len(in) == 3 && !in[2].Equal(Shape{g.o}) {
		err = fmt.Errorf("a bias of shape %v, expected [%d]", in[2], g.o)
	}
	return g.output(), err
}

// Run32 is the float32 kernel.
func (o Conv) Run32(c Call[float32]) { conv(o, c) }

// Run64 is the float64 kernel.
func (o Conv) Run64(c Call[float64]) { conv(o, c) }

// Wrt reports that every input has a derivative.
func (Conv) Wrt(n int) []bool { return every(n) }

// Diff returns one gradient op for each input.
func (o Conv) Diff(b *Builder, in []Value, _, dy Value) []Value {
	x, w := in[0], in[1]
	out := []Value{
		b.Apply(ConvGradientInput{o, x.Shape()}, w, dy),
		b.Apply(ConvGradientWeight{o, w.Shape()}, x, dy),
	}
	if len(in) == 3 {
		out = append(out, b.Apply(ChannelSum{}, dy))
	}
	return out
}

// Emit writes Conv.
func (o Conv) Emit(e *Emitter, s Operands) string {
	g, _ := o.geometry(s.Shapes[0], s.Shapes[1])
	return e.Node("Conv", s.In, g.attributes(g.Pads)...)
}

// attributes returns those of a Conv or ConvTranspose node.
func (g convGeometry) attributes(pads [4]int, more ...*pb.AttributeProto) []*pb.AttributeProto {
	return append(more, intsAttribute("kernel_shape", g.kh, g.kw), intsAttribute("pads", pads[:]...), intsAttribute("strides", g.Strides[:]...),
		intsAttribute("dilations", g.Dilations[:]...), onnx.Int("group", int64(g.Group)))
}

// readConv reads a Conv. Its weight and its bias are parameters.
func readConv(r *reader, n *pb.NodeProto) Value {
	in := []Value{r.in(n, 0), r.param(n, 1, Weight)}
	if has(n, 2) {
		in = append(in, r.param(n, 2, Bias))
	}
	x, w := in[0].Shape(), in[1].Shape()
	if len(x) != 4 || len(w) != 4 {
		r.fail("x of shape %v and a weight of shape %v: a %d-D convolution, expected a 2-D one, [N,C,H,W] and [O,C/group,kH,kW]", x, w, len(w)-2)
	}
	o := Conv{Group: r.int(n, "group", 1)}
	o.Strides = r.pair(n, "strides", [2]int{1, 1})
	o.Dilations = r.pair(n, "dilations", [2]int{1, 1})
	kernel := [2]int{w[2], w[3]}
	if k := r.pair(n, "kernel_shape", kernel); k != kernel {
		r.fail("kernel_shape is %v, but the weight has shape %v", k, w)
	}
	for i := range 2 {
		if o.Strides[i] < 1 || o.Dilations[i] < 1 {
			r.fail("strides %v and dilations %v, expected 1 or more", o.Strides, o.Dilations)
		}
	}
	o.Pads = r.pads(n, [2]int{x[2], x[3]}, kernel, o.Strides, o.Dilations)
	return r.Apply(o, in...)
}

// pair reads an attribute of two numbers, for H and W.
func (r *reader) pair(n *pb.NodeProto, name string, value [2]int) [2]int {
	v := r.intList(n, name, value[:]...)
	if len(v) != 2 {
		r.fail("%s is %v, expected 2 numbers: one for H and one for W", name, v)
	}
	return [2]int(v)
}

// pads returns top, left, bottom and right, from the attribute pads or auto_pad.
func (r *reader) pads(n *pb.NodeProto, size, kernel, strides, dilations [2]int) (pads [4]int) {
	auto := "NOTSET"
	if a := attribute(n, "auto_pad"); a != nil && len(a.S) > 0 {
		auto = string(a.S)
	}
	switch auto {
	case "NOTSET":
		v := r.intList(n, "pads", 0, 0, 0, 0)
		if len(v) != 4 {
			r.fail("pads are %v, expected 4: top, left, bottom and right", v)
		}
		return [4]int(v)
	case "VALID":
		return pads
	case "SAME_UPPER", "SAME_LOWER": // the output has ceil(size/stride) places
		for i := range 2 {
			out := (size[i] + strides[i] - 1) / strides[i]
			total := max((out-1)*strides[i]+(kernel[i]-1)*dilations[i]+1-size[i], 0)
			pads[i], pads[i+2] = total/2, total-total/2
			if auto == "SAME_LOWER" {
				pads[i], pads[i+2] = pads[i+2], pads[i]
			}
		}
		return pads
	}
	r.fail("auto_pad is %q, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", auto)
	return pads
}
