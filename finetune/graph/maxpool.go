package graph

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// MaxPool is the largest value in each window, ignoring padding.
type MaxPool struct{ Window Window }

// Infer applies the window's shape rule.
func (o MaxPool) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("%d inputs, expected 1", len(in))
	}
	return o.Window.infer(in[0])
}

// Run32 is the float32 kernel.
func (o MaxPool) Run32(c Call[float32]) { maxPool(o, c) }

// Run64 is the float64 kernel.
func (o MaxPool) Run64(c Call[float64]) { maxPool(o, c) }

func maxPool[T Float](o MaxPool, c Call[T]) {
	largest(o.Window, c.Shapes[0], c.Shape, c.In[0], func(to, from int) { c.Dst[to] = c.In[0][from] })
}

// largest calls f for each window with the index of its output and of its largest
// value, the first such in row-major order.
func largest[T Float](w Window, in, out Shape, x []T, f func(to, from int)) {
	area, small := in[2]*in[3], out[2]*out[3]
	parallel(in[0]*in[1], func(plane int) {
		for i := range small {
			best := -1
			w.taps(in, i/out[3], i%out[3], func(at int) {
				at += plane * area
				if v := x[at]; best < 0 || v > x[best] || v != v {
					best = at
				}
			})
			f(plane*small+i, best)
		}
	})
}

// Wrt reports that the input has a derivative.
func (MaxPool) Wrt(n int) []bool { return every(n) }

// Diff passes dy on to the largest values.
func (o MaxPool) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(MaxPoolGradient(o), in[0], dy)}
}

// Emit writes MaxPool.
func (o MaxPool) Emit(e *Emitter, s Operands) string {
	return e.Node("MaxPool", s.In, o.Window.attributes(s.Shapes[0], s.Shape)...)
}

// EmitIndices writes a MaxPool that returns the indices of the largest values too.
func (o MaxPool) EmitIndices(e *Emitter, s Operands) (y, indices string) {
	out := e.NodeN("MaxPool", 2, s.In, o.Window.attributes(s.Shapes[0], s.Shape)...)
	return out[0], out[1]
}

// attributes returns those of an ONNX pooling node whose windows fit exactly.
func (w Window) attributes(in, out Shape) []*pb.AttributeProto {
	p := w.pads(in, out)
	for i := range p {
		p[i] = max(p[i], 0) // trailing elements that no window reads
	}
	a := []*pb.AttributeProto{intsAttribute("kernel_shape", w.Kernel[:]...), intsAttribute("strides", w.Strides[:]...), intsAttribute("pads", p[:]...)}
	if w.Dilations != [2]int{1, 1} {
		a = append(a, intsAttribute("dilations", w.Dilations[:]...))
	}
	return a
}

// MaxPoolGradient adds each dy to the largest value of its window; its inputs are x
// and dy.
type MaxPoolGradient MaxPool

// Infer returns the shape of x.
func (o MaxPoolGradient) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("%d inputs, expected 2", len(in))
	}
	if s, err := o.Window.infer(in[0]); err != nil || !s.Equal(in[1]) {
		return nil, fmt.Errorf("inputs of shapes %v, expected x and dy, %w", in, err)
	}
	return in[0], nil
}

// Run32 is the float32 kernel.
func (o MaxPoolGradient) Run32(c Call[float32]) { maxPoolGradient(o, c) }

// Run64 is the float64 kernel.
func (o MaxPoolGradient) Run64(c Call[float64]) { maxPoolGradient(o, c) }

func maxPoolGradient[T Float](o MaxPoolGradient, c Call[T]) {
	clear(c.Dst)
	largest(o.Window, c.Shapes[0], c.Shapes[1], c.In[0], func(from, to int) { c.Dst[to] += c.In[1][from] })
}

// Emit writes a MaxPool for the indices, and Scatter.
func (o MaxPoolGradient) Emit(e *Emitter, s Operands) string {
	_, indices := MaxPool(o).EmitIndices(e, Operands{In: s.In[:1], Shapes: s.Shapes[:1], Shape: s.Shapes[1]})
	return o.Scatter(e, s, indices)
}

// Scatter writes the gradient, given the indices that a MaxPool of x returns, which
// are flat indices into x.
func (o MaxPoolGradient) Scatter(e *Emitter, s Operands, indices string) string {
	zeros := e.Node("ConstantOfShape", []string{e.Ints(s.Shape.Size())})
	flat := e.Node("ScatterElements", []string{zeros, e.Reshape(indices, -1), e.Reshape(s.In[1], -1)},
		onnx.Int("axis", 0), &pb.AttributeProto{Name: "reduction", Type: pb.AttributeProto_STRING, S: []byte("add")})
	return e.Reshape(flat, s.Shape...)
}

func readMaxPool(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	return r.Apply(MaxPool{r.window(n, x.Shape())}, x)
}
