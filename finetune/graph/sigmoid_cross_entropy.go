package graph

import "math"

// SigmoidCrossEntropy is the weighted sum of the binary cross-entropies of logits x
// and targets t: the sum of w·(log(1 + exp(x)) - t·x). Its inputs are x, t and w, of
// one shape. It is accurate for logits of any size.
type SigmoidCrossEntropy struct{}

// Infer expects three tensors of one shape; the loss is a single number.
func (SigmoidCrossEntropy) Infer(in []Shape) (Shape, error) { return weightedShapes(in) }

// Run32 is the float32 kernel.
func (SigmoidCrossEntropy) Run32(c Call[float32]) { weightedLoss(c, binaryCrossEntropy) }

// Run64 is the float64 kernel.
func (SigmoidCrossEntropy) Run64(c Call[float64]) { weightedLoss(c, binaryCrossEntropy) }

func binaryCrossEntropy(x, t float64) float64 { return softplus(x) - t*x }

// softplus is log(1 + exp(x)), without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// sigmoid is 1 / (1 + exp(-x)), without overflow.
func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// Wrt reports that only the logits have a derivative.
func (SigmoidCrossEntropy) Wrt(n int) []bool { return first(n) }

// Diff returns w·(sigmoid(x) - t).
func (SigmoidCrossEntropy) Diff(b *Builder, in []Value, _, dy Value) []Value {
	return []Value{b.Apply(SigmoidCrossEntropyGradient{}, withGradient(in, dy)...), {}, {}}
}

// Emit writes Softplus, products and sums.
func (SigmoidCrossEntropy) Emit(e *Emitter, s Operands) string {
	v := e.Sub(e.Node("Softplus", s.In[:1]), e.Mul(s.In[0], s.In[1]))
	return e.total(emitWeighted(e, v, s), s.Shapes[0])
}

// SigmoidCrossEntropyGradient is the gradient with respect to the logits; its inputs
// are x, t, w and the gradient of the loss, which is left out if it is 1.
type SigmoidCrossEntropyGradient struct{}

// Infer returns the shape of the logits.
func (SigmoidCrossEntropyGradient) Infer(in []Shape) (Shape, error) {
	return weightedGradientShapes(in)
}

// Run32 is the float32 kernel.
func (SigmoidCrossEntropyGradient) Run32(c Call[float32]) {
	weightedGradient(c, binaryCrossEntropySlope)
}

// Run64 is the float64 kernel.
func (SigmoidCrossEntropyGradient) Run64(c Call[float64]) {
	weightedGradient(c, binaryCrossEntropySlope)
}

func binaryCrossEntropySlope(x, t float64) float64 { return sigmoid(x) - t }

// Emit writes Sigmoid, difference and products.
func (SigmoidCrossEntropyGradient) Emit(e *Emitter, s Operands) string {
	return emitWeighted(e, e.Sub(e.Node("Sigmoid", s.In[:1]), s.In[1]), s)
}
