package graph

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// GlobalNorm is the Euclidean norm [1] of all elements of its inputs together.
type GlobalNorm struct{}

// Infer takes any shapes.
func (GlobalNorm) Infer([]Shape) (Shape, error) { return Shape{1}, nil }

// Run32 is the kernel.
func (GlobalNorm) Run32(c Call[float32]) { globalNorm(c) }

// Run64 is the kernel.
func (GlobalNorm) Run64(c Call[float64]) { globalNorm(c) }

func globalNorm[T Float](c Call[T]) {
	sum := 0.0
	for _, x := range c.In {
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
	}
	c.Dst[0] = T(math.Sqrt(sum))
}

// Emit adds the sums of squares.
func (GlobalNorm) Emit(e *Emitter, s Site) string {
	total := ""
	for _, x := range s.In {
		part := e.Reshape(e.Node("ReduceSumSquare", []string{x}, onnx.Int("keepdims", 0)), 1)
		if total != "" {
			part = e.Add(total, part)
		}
		total = part
	}
	return e.Node("Sqrt", []string{total})
}

// Clipped scales a gradient where the norm of all gradients exceeds Max, by
// Max / (norm + 1e-6) as torch.nn.utils.clip_grad_norm_ does; its inputs are
// the gradient and the norm [1].
type Clipped struct{ Max float64 }

// Infer keeps the gradient's shape.
func (Clipped) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 || !in[1].Equal(Shape{1}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected a gradient and [1]", in)
	}
	return in[0], nil
}

// Run32 is the kernel.
func (o Clipped) Run32(c Call[float32]) { clipped(o, c) }

// Run64 is the kernel.
func (o Clipped) Run64(c Call[float64]) { clipped(o, c) }

func clipped[T Float](o Clipped, c Call[T]) {
	by := min(T(o.Max)/(c.In[1][0]+1e-6), 1)
	for i, g := range c.In[0] {
		c.Dst[i] = g * by
	}
}

// Emit is the formula. The factor is the same for all gradients, and computed
// for each: it is a number.
func (o Clipped) Emit(e *Emitter, s Site) string {
	by := e.Node("Div", []string{e.Number(o.Max), e.Add(s.In[1], e.Number(1e-6))})
	return e.Mul(s.In[0], e.Node("Min", []string{by, e.Number(1)}))
}
