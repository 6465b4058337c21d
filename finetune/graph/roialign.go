package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/finetune/roialign"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// RoIAlign pools the features of boxes, each from its level of a pyramid, to
// [K,C,Size,Size]: package roialign. Its inputs are the levels, [N,C,H,W] each, the
// boxes [K,4] (x1, y1, x2, y2 in pixels of the network's input), sorted by level, the
// image [K] of each, and the bounds [levels+1] of the levels: level l has the rows from
// bounds[l] to bounds[l+1]-1. A level may have none. It has a derivative with respect
// to the levels.
type RoIAlign struct {
	Strides  []int // of the levels
	Size     int
	Sampling int  // samples along each side of a bin; 0: as many as it has pixels
	Aligned  bool // the centres of pixels are at halves
}

// Infer returns [K,C,Size,Size].
func (o RoIAlign) Infer(in []Shape) (Shape, error) {
	levels := len(o.Strides)
	if levels < 1 || len(in) != levels+3 {
		return nil, fmt.Errorf("%d inputs for strides %v, expected a level of each, boxes, images and bounds", len(in), o.Strides)
	}
	for _, s := range in[:levels] {
		if len(s) != 4 || !s[:2].Equal(in[0][:min(2, len(in[0]))]) {
			return nil, fmt.Errorf("levels of shapes %v, expected [N,C,H,W] of the same N and C", in[:levels])
		}
	}
	k, err := o.boxes(in[levels:])
	if err != nil {
		return nil, err
	}
	return Shape{k, in[0][1], o.Size, o.Size}, nil
}

// boxes checks the attributes and the shapes of boxes, images and bounds, and returns
// the number of boxes.
func (o RoIAlign) boxes(in []Shape) (int, error) {
	if slices.Min(o.Strides) < 1 || o.Size < 1 || o.Sampling < 0 {
		return 0, fmt.Errorf("%+v, expected strides and a size of 1 or more", o)
	}
	if len(in[0]) != 2 || in[0][0] < 1 || !in[0].Equal(Shape{in[0][0], 4}) || !in[1].Equal(in[0][:1]) || !in[2].Equal(Shape{len(o.Strides) + 1}) {
		return 0, fmt.Errorf("boxes, images and bounds of shapes %v, expected [K,4], [K] and [%d]", in, len(o.Strides)+1)
	}
	return in[0][0], nil
}

func (o RoIAlign) pooling() roialign.Pooling {
	return roialign.Pooling{Size: o.Size, Sampling: o.Sampling, Aligned: o.Aligned}
}

// Run32 is the float32 kernel. It panics if the boxes are not finite, or the bounds or
// the images do not fit.
func (o RoIAlign) Run32(c Call[float32]) { roiAlign(o, c) }

// Run64 is the float64 kernel.
func (o RoIAlign) Run64(c Call[float64]) { roiAlign(o, c) }

func roiAlign[T Float](o RoIAlign, c Call[T]) {
	levels, one := len(o.Strides), c.Shape[1:].Size()
	rois := checkedRoIs(c.In[levels:], c.Shapes[0][0])
	for l, stride := range o.Strides {
		first, behind := rois.Level(l)
		s := c.Shapes[l]
		image := s[1:].Size()
		parallel(behind-first, func(i int) {
			i += first
			m := roialign.Map[T]{Stride: stride, C: s[1], H: s[2], W: s[3], Values: c.In[l][int(rois.Images[i])*image:][:image]}
			roialign.Pool(o.pooling(), c.Dst[i*one:][:one], m, rois.Box(i))
		})
	}
}

// checkedRoIs are the boxes, images and bounds that the last inputs of an op are.
func checkedRoIs[T Float](in [][]T, images int) roialign.RoIs[T] {
	r := roialign.RoIs[T]{Boxes: in[0], Images: in[1], Bounds: in[2]}
	if err := r.Check(images, len(r.Bounds)-1); err != nil {
		panic(err)
	}
	return r
}

// Wrt reports that the levels have a derivative.
func (o RoIAlign) Wrt(n int) []bool {
	out := make([]bool, n)
	for l := range o.Strides {
		out[l] = true
	}
	return out
}

// Diff returns a RoIAlignGradient for each level.
func (o RoIAlign) Diff(b *Builder, in []Value, _, dy Value) []Value {
	levels := len(o.Strides)
	out := make([]Value, len(in))
	for l := range levels {
		out[l] = b.Apply(RoIAlignGradient{o, l, in[l].Shape()}, append([]Value{dy}, in[levels:]...)...)
	}
	return out
}

// Emit writes a RoiAlign for each level, of the boxes between its bounds.
func (o RoIAlign) Emit(e *Emitter, s Operands) string {
	levels := len(o.Strides)
	mode := "output_half_pixel"
	if o.Aligned {
		mode = "half_pixel"
	}
	images, bounds := e.toInts(s.In[levels+1]), e.toInts(s.In[levels+2])
	bound := func(l int) string { return e.Slice(bounds, []int{0}, []int{l}, []int{l + 1}, []int{1}) }
	parts := make([]string, levels)
	for l, stride := range o.Strides {
		rows := func(v string) string { return e.Node("Slice", []string{v, bound(l), bound(l + 1), e.Ints(0)}) }
		parts[l] = e.Node("RoiAlign", []string{s.In[l], rows(s.In[levels]), rows(images)},
			onnx.Int("output_height", int64(o.Size)), onnx.Int("output_width", int64(o.Size)), onnx.Int("sampling_ratio", int64(o.Sampling)),
			onnx.Float("spatial_scale", 1/float32(stride)), onnx.String("coordinate_transformation_mode", mode))
	}
	return e.Reshape(e.Node("Concat", parts, onnx.Int("axis", 0)), s.Shape...)
}

// toInts converts whole numbers to int64.
func (e *Emitter) toInts(v string) string {
	return e.Node("Cast", []string{v}, onnx.Int("to", int64(pb.TensorProto_INT64)))
}
