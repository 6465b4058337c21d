package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Upsample repeats each element of images [N,C,H,W] Factor[0] times along H and
// Factor[1] times along W: nearest-neighbour interpolation by whole factors.
type Upsample struct{ Factor [2]int }

// Infer multiplies height and width.
func (o Upsample) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 || len(in[0]) != 4 {
		return nil, fmt.Errorf("inputs of shapes %v, expected [N,C,H,W]", in)
	}
	s := slices.Clone(in[0])
	for i, f := range o.Factor {
		if f < 1 || f > 1<<15 || s[2+i] > 1<<15 {
			return nil, fmt.Errorf("factors %v of an input of shape %v, expected whole numbers from 1 and sizes of at most %d", o.Factor, in[0], 1<<15)
		}
		s[2+i] *= f
	}
	return s, nil
}

// Run32 is the float32 kernel.
func (o Upsample) Run32(c Call[float32]) { upsample(o, c) }

// Run64 is the float64 kernel.
func (o Upsample) Run64(c Call[float64]) { upsample(o, c) }

func upsample[T Float](o Upsample, c Call[T]) {
	w, wide := c.Shapes[0][3], c.Shape[3]
	rows := c.Shape[0] * c.Shape[1] * c.Shape[2]
	for row := range rows {
		from, to := c.In[0][row/o.Factor[0]*w:][:w], c.Dst[row*wide:][:wide]
		for i := range to {
			to[i] = from[i/o.Factor[1]]
		}
	}
}

// Wrt reports that the input has a derivative.
func (Upsample) Wrt(n int) []bool { return every(n) }

// Diff adds up dy over the copies of each element: an average pooling, multiplied by
// the number of copies.
func (o Upsample) Diff(b *Builder, _ []Value, _, dy Value) []Value {
	pool := AveragePool{Window: Window{Kernel: o.Factor, Strides: o.Factor, Dilations: [2]int{1, 1}}}
	return []Value{b.scale(b.Apply(pool, dy), float64(o.Factor[0]*o.Factor[1]))}
}

// Emit writes Resize.
func (o Upsample) Emit(e *Emitter, s Operands) string {
	return e.Node("Resize", []string{s.In[0], "", "", e.Ints(s.Shape...)},
		onnx.String("mode", "nearest"), onnx.String("coordinate_transformation_mode", "asymmetric"), onnx.String("nearest_mode", "floor"))
}

// readResize reads a Resize, or an Upsample of older opsets, that repeats pixels a
// whole number of times.
func readResize(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	r.checkNearest(n)
	factors := make([]int, len(s))
	for i, by := range r.resizeScales(n, s) {
		if factors[i] = int(by); float64(factors[i]) != by || by < 1 {
			r.fail("the size of dimension %d, %d, is multiplied by %v, expected a whole number from 1", i, s[i], by)
		}
		if i < len(s)-2 && factors[i] != 1 {
			r.fail("dimension %d of %d is resized, expected the last two at most", i, len(s))
		}
	}
	if !slices.ContainsFunc(factors, func(f int) bool { return f != 1 }) {
		return x
	}
	if len(s) != 4 {
		r.fail("an input of shape %v, expected [N,C,H,W]", s)
	}
	return r.Apply(Upsample{[2]int(factors[2:])}, x)
}

// checkNearest refuses a Resize that is not the repetition of pixels if its factors
// are whole numbers.
func (r *reader) checkNearest(n *pb.NodeProto) {
	if mode := r.text(n, "mode", "nearest"); mode != "nearest" {
		r.fail("mode is %q, expected nearest", mode)
	}
	if n.OpType == "Upsample" || r.opset < 11 {
		return
	}
	coordinates, rounding := r.text(n, "coordinate_transformation_mode", "half_pixel"), r.text(n, "nearest_mode", "round_prefer_floor")
	switch coordinates + " " + rounding {
	case "asymmetric floor", "half_pixel round_prefer_floor", "half_pixel round_prefer_ceil":
	default:
		r.fail("coordinates are %q with rounding %q, expected asymmetric with floor, or half_pixel with round_prefer_floor or round_prefer_ceil", coordinates, rounding)
	}
	if policy := r.text(n, "keep_aspect_ratio_policy", "stretch"); policy != "stretch" {
		r.fail("keep_aspect_ratio_policy is %q, expected stretch", policy)
	}
}

// resizeScales returns by what a Resize or Upsample multiplies each dimension of an
// input of shape s.
func (r *reader) resizeScales(n *pb.NodeProto, s Shape) []float64 {
	axes := r.axes(r.intList(n, "axes"), len(s))
	if len(axes) == 0 {
		for i := range s {
			axes = append(axes, i)
		}
	}
	given := func(v []float32) (scales []float64) {
		for _, by := range v {
			scales = append(scales, float64(by))
		}
		return scales
	}
	var scales []float64
	if a := attribute(n, "scales"); a != nil {
		scales = given(a.Floats)
	}
	if at := r.resizeInput(n); has(n, at) {
		_, v := r.floats(n.Input[at])
		scales = given(v)
	}
	if len(scales) == 0 && has(n, 3) {
		for i, size := range r.intInput(n, 3) {
			if i < len(axes) {
				scales = append(scales, float64(size)/float64(s[axes[i]]))
			}
		}
	}
	if len(scales) != len(axes) {
		r.fail("%d scales for %d dimensions", len(scales), len(axes))
	}
	out := slices.Repeat([]float64{1}, len(s))
	for i, axis := range axes {
		out[axis] = scales[i]
	}
	return out
}

// resizeInput is the index of the input that holds the scales.
func (r *reader) resizeInput(n *pb.NodeProto) int {
	if n.OpType == "Upsample" || r.opset < 11 {
		return 1
	}
	return 2
}
