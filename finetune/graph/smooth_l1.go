package graph

import (
	"fmt"
	"math"
)

// SmoothL1 is the weighted sum of the smooth L1 losses of values x and targets t
// ("Fast R-CNN", Girshick 2015, with PyTorch's beta): with d = x-t, the sum of
// w·d²/(2·Beta) where |d| < Beta, and of w·(|d| - Beta/2) elsewhere. If Beta is 0, it
// is the sum of w·|d|. Its inputs are x, t and w, of one shape.
type SmoothL1 struct{ Beta float64 }

// Infer expects three tensors of one shape; the loss is a single number.
func (o SmoothL1) Infer(in []Shape) (Shape, error) {
	if !(o.Beta >= 0) {
		return nil, fmt.Errorf("beta is %v, expected 0 or more", o.Beta)
	}
	return weightedShapes(in)
}

// Run32 is the float32 kernel.
func (o SmoothL1) Run32(c Call[float32]) { weightedLoss(c, o.loss) }

// Run64 is the float64 kernel.
func (o SmoothL1) Run64(c Call[float64]) { weightedLoss(c, o.loss) }

func (o SmoothL1) loss(x, t float64) float64 {
	d := math.Abs(x - t)
	if d < o.Beta {
		return d * d / (2 * o.Beta)
	}
	return d - o.Beta/2
}

// Wrt reports that only the values have a derivative.
func (SmoothL1) Wrt(n int) []bool { return first(n) }

// Diff returns w·d/Beta, limited to w·sign(d).
func (o SmoothL1) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(SmoothL1Gradient(o), withGradient(in, dy)...), {}, {}}
}

// Emit writes m·(|d| - m/2)/Beta, where m is the smaller of |d| and Beta, or |d|.
func (o SmoothL1) Emit(e *Emitter, s Operands) string {
	v := e.Node("Abs", []string{e.Sub(s.In[0], s.In[1])})
	if o.Beta == 0 {
		return e.total(emitWeighted(e, v, s), s.Shapes[0])
	}
	m := e.Node("Clip", []string{v, "", e.Number(o.Beta)})
	v = e.Mul(m, e.Sub(v, e.Mul(m, e.Number(.5))))
	return e.Mul(e.total(emitWeighted(e, v, s), s.Shapes[0]), e.Number(1/o.Beta))
}

// SmoothL1Gradient is the gradient with respect to the values; its inputs are x, t, w
// and the gradient of the loss, which is left out if it is 1.
type SmoothL1Gradient SmoothL1

// Infer returns the shape of the values.
func (SmoothL1Gradient) Infer(in []Shape) (Shape, error) { return weightedGradientShapes(in) }

// Run32 is the float32 kernel.
func (o SmoothL1Gradient) Run32(c Call[float32]) { weightedGradient(c, o.slope) }

// Run64 is the float64 kernel.
func (o SmoothL1Gradient) Run64(c Call[float64]) { weightedGradient(c, o.slope) }

// slope is 0 at d = 0, as in PyTorch, even if Beta is 0.
func (o SmoothL1Gradient) slope(x, t float64) float64 {
	switch d := x - t; {
	case math.Abs(d) < o.Beta:
		return d / o.Beta
	case d > 0:
		return 1
	case d < 0:
		return -1
	default:
		return d // 0, or not a number
	}
}

// Emit writes Clip of d/Beta to [-1,1], or Sign.
func (o SmoothL1Gradient) Emit(e *Emitter, s Operands) string {
	d := e.Sub(s.In[0], s.In[1])
	if o.Beta == 0 {
		return emitWeighted(e, e.Node("Sign", []string{d}), s)
	}
	d = e.Node("Clip", []string{e.Mul(d, e.Number(1/o.Beta)), e.Number(-1), e.Number(1)})
	return emitWeighted(e, d, s)
}
