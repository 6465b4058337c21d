package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/finetune/roialign"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// RoIAlignGradient is the gradient of RoIAlign with respect to one of its levels, of
// shape [N,C,H,W]. Its inputs are dy [K,C,Size,Size], boxes, images and bounds.
type RoIAlignGradient struct {
	RoIAlign RoIAlign
	Level    int
	Shape    Shape // of the level
}

// Infer returns the shape of the level.
func (o RoIAlignGradient) Infer(in []Shape) (Shape, error) {
	r := o.RoIAlign
	if len(in) != 4 || len(o.Shape) != 4 || o.Level < 0 || o.Level >= len(r.Strides) {
		return nil, fmt.Errorf("%+v of inputs of shapes %v, expected dy, boxes, images and bounds", o, in)
	}
	k, err := r.boxes(in[1:])
	if err != nil {
		return nil, err
	}
	if want := (Shape{k, o.Shape[1], r.Size, r.Size}); !in[0].Equal(want) {
		return nil, fmt.Errorf("dy of shape %v, expected %v", in[0], want)
	}
	return slices.Clone(o.Shape), nil
}

// Run32 is the float32 kernel. It panics as that of RoIAlign does.
func (o RoIAlignGradient) Run32(c Call[float32]) { roiAlignGradient(o, c) }

// Run64 is the float64 kernel.
func (o RoIAlignGradient) Run64(c Call[float64]) { roiAlignGradient(o, c) }

func roiAlignGradient[T Float](o RoIAlignGradient, c Call[T]) {
	clear(c.Dst)
	p, stride, s := o.RoIAlign.pooling(), o.RoIAlign.Strides[o.Level], c.Shape
	rois := checkedRoIs(c.In[1:], s[0])
	first, behind := rois.Level(o.Level)
	rows, columns := make([]roialign.Weights[T], behind-first), make([]roialign.Weights[T], behind-first)
	parallel(behind-first, func(i int) {
		box := rois.Box(first + i)
		rows[i], columns[i] = roialign.Rows(p, box, stride, s[2]), roialign.Columns(p, box, stride, s[3])
	})
	bins := p.Size * p.Size
	parallel(s[0]*s[1], func(plane int) {
		to := c.Dst[plane*s[2]*s[3]:][:s[2]*s[3]]
		for i := range rows {
			if int(rois.Images[first+i]) == plane/s[1] {
				dy := c.In[0][((first+i)*s[1]+plane%s[1])*bins:][:bins]
				addPlane(to, dy, s[3], p.Size, rows[i], columns[i])
			}
		}
	})
}

// addPlane adds Wyᵀ·dy·Wx to a plane of a width.
func addPlane[T Float](to, dy []T, width, size int, rows, columns roialign.Weights[T]) {
	n := len(columns.Pixels)
	wide := make([]T, size*n) // dy·Wx
	for _, t := range columns.Taps {
		for bin := range size {
			wide[bin*n+t.At] += t.Weight * dy[bin*size+t.Bin]
		}
	}
	for _, t := range rows.Taps {
		to, from := to[rows.Pixels[t.At]*width:], wide[t.Bin*n:]
		for i, pixel := range columns.Pixels {
			to[pixel] += t.Weight * from[i]
		}
	}
}

// mostFloats is about the size of the largest tensor of the emission.
const mostFloats = 16 << 20

// Emit computes Wyᵀ·dY·Wx with dense matrices of a few boxes at a time, whose rows and
// columns are 0 for boxes of other levels and images. The product with Wy sums over the
// boxes as well, so that nothing is scattered: onnxruntime's ScatterND loses additions
// to equal places when it has several threads.
func (o RoIAlignGradient) Emit(e *Emitter, s Operands) string {
	n, c, h, w := s.Shape[0], s.Shape[1], s.Shape[2], s.Shape[3]
	k, size := s.Shapes[0][0], o.RoIAlign.Size
	dy := e.Transpose(s.In[0], 0, 2, 1, 3) // [K,Size,C,Size]
	of := o.emitImages(e, s)
	sum, step := "", max(1, mostFloats/(size*c*w))
	for from := 0; from < k; from += step {
		m := min(step, k-from)
		rows := func(v string) string { return e.Slice(v, []int{0}, []int{from}, []int{from + m}, []int{1}) }
		boxes, of := rows(s.In[1]), rows(of)
		wide := e.Node("MatMul", []string{e.Reshape(rows(dy), m, size*c, size), o.emitWeights(e, boxes, of, m, 0, w)})
		wy := e.Reshape(o.emitWeights(e, boxes, of, m, 1, h), m, size, 1, h)
		in := []string{e.Reshape(e.Mul(wy, e.Reshape(of, m, 1, n, 1)), m*size, n*h), e.Reshape(wide, m*size, c*w)}
		if sum != "" {
			in = append(in, sum)
		}
		sum = e.Node("Gemm", in, onnx.Int("transA", 1)) // [N·H,C·W]
	}
	return e.Transpose(e.Reshape(sum, n, h, c, w), 0, 2, 1, 3)
}

// emitImages is [K,N]: 1 where a box is of the level and of an image, else 0.
func (o RoIAlignGradient) emitImages(e *Emitter, s Operands) string {
	k, n := s.Shapes[0][0], s.Shape[0]
	bound := func(l int) string { return e.Slice(s.In[3], []int{0}, []int{l}, []int{l + 1}, []int{1}) }
	row, image := e.counted(Shape{k, 1}), e.counted(Shape{1, n})
	in := e.Node("And", []string{
		e.Node("GreaterOrEqual", []string{row, bound(o.Level)}),
		e.Node("Less", []string{row, bound(o.Level + 1)}),
	})
	of := e.Node("Equal", []string{e.Reshape(s.In[2], k, 1), image})
	return e.toFloats(e.Node("And", []string{in, of}))
}

// emitWeights is Wx or Wy of m boxes, [m,Size,length], along an axis (0: x). A pixel
// that is less than 1 away from a sample has 1 - the distance of its value.
func (o RoIAlignGradient) emitWeights(e *Emitter, boxes, of string, m, axis, length int) string {
	at, ok, per := o.emitSamples(e, boxes, of, m, axis)
	inside := e.Node("And", []string{
		e.Node("GreaterOrEqual", []string{at, e.Number(-1)}),
		e.Node("LessOrEqual", []string{at, e.Number(float64(length))}),
	})
	if ok != "" {
		inside = e.Node("And", []string{inside, ok})
	}
	share := e.Node("Div", []string{e.toFloats(inside), per})
	at = e.Node("Clip", []string{at, e.Number(0), e.Number(float64(length - 1))})
	wide := func(v string) string { return e.Node("Unsqueeze", []string{v, e.Ints(3)}) }
	distance := e.Node("Abs", []string{e.Sub(wide(at), e.counted(Shape{length}))})
	value := e.Node("Relu", []string{e.Sub(e.Number(1), distance)})
	return e.Sum(e.Mul(value, wide(share)), 2)
}

// emitSamples is where the samples of m boxes are along an axis, in pixels of the level
// [m,Size,samples], which of them a bin has ("": all), and how many it has. Boxes of
// other levels may be given any samples.
func (o RoIAlignGradient) emitSamples(e *Emitter, boxes, of string, m, axis int) (at, ok, per string) {
	r := o.RoIAlign
	side := func(column int) string {
		v := e.Slice(boxes, []int{1}, []int{column}, []int{column + 1}, []int{1})
		v = e.Mul(e.Reshape(v, m, 1, 1), e.Number(1/float64(r.Strides[o.Level])))
		if r.Aligned {
			v = e.Sub(v, e.Number(0.5))
		}
		return v
	}
	start := side(axis)
	length := e.Sub(side(axis+2), start)
	if !r.Aligned {
		length = e.Node("Max", []string{length, e.Number(1)})
	}
	bin := e.Node("Div", []string{length, e.Number(float64(r.Size))})
	var index string // of a sample in its bin
	if r.Sampling > 0 {
		per, index = e.Number(float64(r.Sampling)), e.counted(Shape{1, 1, r.Sampling})
	} else {
		here := e.Reshape(e.Node("ReduceMax", []string{of}, onnx.Ints("axes", 1)), m, 1, 1)
		per = e.Node("Max", []string{e.Mul(e.Node("Ceil", []string{bin}), here), e.Number(1)})
		most := e.Node("ReduceMax", []string{per}, onnx.Int("keepdims", 0))
		index = e.Node("Range", []string{e.Number(0), most, e.Number(1)})
		ok = e.Node("Less", []string{index, e.Node("Ceil", []string{bin})})
	}
	within := e.Node("Div", []string{e.Mul(e.Add(index, e.Number(0.5)), bin), per})
	bins := e.Add(start, e.Mul(bin, e.counted(Shape{1, r.Size, 1})))
	return e.Add(bins, within), ok, per
}

// counted is a constant of a shape that has the numbers from 0 on.
func (e *Emitter) counted(s Shape) string {
	v := make([]float32, s.Size())
	for i := range v {
		v[i] = float32(i)
	}
	return e.Floats(s, v...)
}

// toFloats converts true and false to 1 and 0.
func (e *Emitter) toFloats(v string) string {
	return e.Node("Cast", []string{v}, onnx.Int("to", int64(pb.TensorProto_FLOAT)))
}
