package graph

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// CrossEntropy is the softmax cross-entropy of logits [N,K] and targets [N,K],
// summed over all elements: -sum t log softmax(x). Weights, label smoothing and
// mixtures are a matter of the targets: with rows that sum to weight / sum of
// weights, the sum is the weighted mean, and a row of zeros does not count.
type CrossEntropy struct{}

// Infer expects two matrices of one shape; the loss is a single number.
func (CrossEntropy) Infer(in []Shape) (Shape, error) {
	s, err := sameShapes(in, 2)
	if err == nil && len(s) != 2 {
		err = fmt.Errorf("logits of shape %v, expected [N,K]", s)
	}
	return Shape{}, err
}

// Run32 is the float32 kernel.
func (CrossEntropy) Run32(c Call[float32]) { crossEntropy(c) }

// Run64 is the float64 kernel.
func (CrossEntropy) Run64(c Call[float64]) { crossEntropy(c) }

func crossEntropy[T Float](c Call[T]) {
	k := c.Shapes[0][1]
	loss := 0.0
	for i := 0; i < len(c.In[0]); i += k {
		x, t := c.In[0][i:i+k], c.In[1][i:i+k]
		top, log := logSum(x)
		for j, v := range x {
			if t[j] != 0 {
				loss -= float64(t[j]) * (float64(v) - top - log)
			}
		}
	}
	c.Dst[0] = T(loss)
}

// logSum returns the maximum of a row and the logarithm of the sum of
// exp(x - maximum).
func logSum[T Float](x []T) (top, log float64) {
	top = math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top, math.Log(sum)
}

// Wrt reports that only the logits have a derivative.
func (CrossEntropy) Wrt(n int) []bool { return first(n) }

// Diff returns softmax(x) times the sum of the row's targets, minus the targets.
func (CrossEntropy) Diff(b *Builder, in []Value, _, dy Value) []Value {
	if dy.One() {
		return []Value{b.Apply(CrossEntropyGradient{}, in[0], in[1]), {}}
	}
	return []Value{b.Apply(CrossEntropyGradient{}, in[0], in[1], dy), {}}
}

// Emit writes LogSoftmax, product and sum.
func (CrossEntropy) Emit(e *Emitter, s Operands) string {
	log := e.Node("LogSoftmax", s.In[:1], onnx.Int("axis", 1))
	return e.Node("Neg", []string{e.Sum(e.Mul(log, s.In[1]), 0, 1)})
}

// CrossEntropyGradient is the gradient with respect to the logits; its inputs are
// logits, targets and the gradient of the loss, which is left out if it is 1.
type CrossEntropyGradient struct{}

// Infer returns the shape of the logits.
func (CrossEntropyGradient) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 && len(in) != 3 {
		return nil, fmt.Errorf("%d inputs, expected 2 or 3", len(in))
	}
	return sameShapes(in[:2], 2)
}

// Run32 is the float32 kernel.
func (CrossEntropyGradient) Run32(c Call[float32]) { crossEntropyGradient(c) }

// Run64 is the float64 kernel.
func (CrossEntropyGradient) Run64(c Call[float64]) { crossEntropyGradient(c) }

func crossEntropyGradient[T Float](c Call[T]) {
	k := c.Shapes[0][1]
	dy := T(1)
	if len(c.In) == 3 {
		dy = c.In[2][0]
	}
	for i := 0; i < len(c.In[0]); i += k {
		x, t, dx := c.In[0][i:i+k], c.In[1][i:i+k], c.Dst[i:i+k]
		top, log := logSum(x)
		weight := T(0)
		for _, v := range t {
			weight += v
		}
		for j, v := range x {
			dx[j] = dy * (weight*T(math.Exp(float64(v)-top-log)) - t[j])
		}
	}
}

// Emit writes Softmax, product and difference.
func (CrossEntropyGradient) Emit(e *Emitter, s Operands) string {
	p := e.Node("Softmax", s.In[:1], onnx.Int("axis", 1))
	weight := e.Node("ReduceSum", []string{s.In[1], e.Ints(1)}, onnx.Int("keepdims", 1))
	d := e.Sub(e.Mul(p, weight), s.In[1])
	if len(s.In) == 3 {
		d = e.Mul(d, s.In[2])
	}
	return d
}
