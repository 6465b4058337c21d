package graph

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// GlobalNorm is the Euclidean norm [1] of all elements of its inputs together.
type GlobalNorm struct{}

// Infer accepts inputs of any shape.
func (GlobalNorm) Infer([]Shape) (Shape, error) { return Shape{1}, nil }

// Run32 is the float32 kernel.
func (GlobalNorm) Run32(c Call[float32]) { globalNorm(c) }

// Run64 is the float64 kernel.
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

// Emit writes the square root of the sum of squares.
func (GlobalNorm) Emit(e *Emitter, s Operands) string {
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

// ClipByGlobalNorm scales a gradient by Max / (norm + 1e-6), as
// torch.nn.utils.clip_grad_norm_ does, if the norm of all gradients exceeds Max;
// its inputs are the gradient and that norm [1].
type ClipByGlobalNorm struct{ Max float64 }

// Infer keeps the gradient's shape.
func (ClipByGlobalNorm) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 || !in[1].Equal(Shape{1}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected a gradient and [1]", in)
	}
	return in[0], nil
}

// Run32 is the float32 kernel.
func (o ClipByGlobalNorm) Run32(c Call[float32]) { clipByGlobalNorm(o, c) }

// Run64 is the float64 kernel.
func (o ClipByGlobalNorm) Run64(c Call[float64]) { clipByGlobalNorm(o, c) }

func clipByGlobalNorm[T Float](o ClipByGlobalNorm, c Call[T]) {
	by := min(T(o.Max)/(c.In[1][0]+1e-6), 1)
	for i, g := range c.In[0] {
		c.Dst[i] = g * by
	}
}

// Emit writes the formula. The factor is the same for all gradients but is
// computed once for each: it is a single number, so that costs nothing.
func (o ClipByGlobalNorm) Emit(e *Emitter, s Operands) string {
	by := e.Node("Div", []string{e.Number(o.Max), e.Add(s.In[1], e.Number(1e-6))})
	return e.Mul(s.In[0], e.Node("Min", []string{by, e.Number(1)}))
}
