package graph

import "fmt"

// weightedShapes is the shape rule of the losses of values, targets and weights of
// one shape.
func weightedShapes(in []Shape) (Shape, error) {
	_, err := sameShapes(in, 3)
	return Shape{}, err
}

// weightedGradientShapes is the shape rule of the gradients of those losses, whose
// inputs are the loss's and the gradient of the loss, which is left out if it is 1.
func weightedGradientShapes(in []Shape) (Shape, error) {
	if len(in) != 3 && (len(in) != 4 || in[3].Size() != 1) {
		return nil, fmt.Errorf("inputs of shapes %v, expected values, targets, weights and perhaps the gradient of the loss", in)
	}
	return sameShapes(in[:3], 3)
}

// weightedLoss computes the sum of w·f(x, t).
func weightedLoss[T Float](c Call[T], f func(x, t float64) float64) {
	loss := 0.0
	for i, x := range c.In[0] {
		loss += float64(c.In[2][i]) * f(float64(x), float64(c.In[1][i]))
	}
	c.Dst[0] = T(loss)
}

// weightedGradient computes w·f(x, t)·dy.
func weightedGradient[T Float](c Call[T], f func(x, t float64) float64) {
	dy := 1.0
	if len(c.In) == 4 {
		dy = float64(c.In[3][0])
	}
	for i, x := range c.In[0] {
		c.Dst[i] = T(float64(c.In[2][i]) * f(float64(x), float64(c.In[1][i])) * dy)
	}
}

// withGradient appends the gradient of the loss to the inputs of a gradient op,
// unless it is 1.
func withGradient(in []Value, dy Value) []Value {
	if dy.One() {
		return in
	}
	return append(in[:len(in):len(in)], dy)
}

// emitWeighted multiplies a value by the weights and, if it is there, by the gradient
// of the loss.
func emitWeighted(e *Emitter, v string, s Operands) string {
	v = e.Mul(v, s.In[2])
	if len(s.In) == 4 {
		v = e.Mul(v, s.In[3])
	}
	return v
}

// total adds up all elements of a value of shape s. It does so in two steps, because
// onnxruntime adds one element after the other, and sums of millions of float32
// values that are added up one by one are not accurate.
func (e *Emitter) total(v string, s Shape) string {
	var axes [2][]int
	for i := range s {
		half := 0
		if i < len(s)/2 {
			half = 1
		}
		axes[half] = append(axes[half], i)
	}
	for _, a := range axes {
		if len(a) > 0 {
			v = e.Sum(v, a...)
		}
	}
	return v
}
