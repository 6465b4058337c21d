package graph

import (
	"fmt"
	"slices"
)

// BatchNormGradientScale is the gradient of BatchNorm and BatchNormFrozen with
// respect to scale [C]: the sum of dy·(x - mean)/sqrt(variance + Epsilon). Its
// inputs are x [N,C,...], mean and variance [C], and dy.
type BatchNormGradientScale struct{ Epsilon float64 }

// Infer returns the number of channels.
func (BatchNormGradientScale) Infer(in []Shape) (Shape, error) {
	if len(in) != 4 || !in[3].Equal(in[0]) {
		return nil, fmt.Errorf("inputs of shapes %v, expected x, mean, variance and dy", in)
	}
	return channelVectors(in[:3], 3)
}

// Run32 is the float32 kernel.
func (o BatchNormGradientScale) Run32(c Call[float32]) { batchNormGradientScale(o, c) }

// Run64 is the float64 kernel.
func (o BatchNormGradientScale) Run64(c Call[float64]) { batchNormGradientScale(o, c) }

func batchNormGradientScale[T Float](o BatchNormGradientScale, c Call[T]) {
	x, dy, s := c.In[0], c.In[3], c.Shapes[0]
	parallel(s[1], func(k int) {
		mean := float64(c.In[1][k])
		sum := overChannel(s, k, func(i int) float64 { return float64(dy[i]) * (float64(x[i]) - mean) })
		c.Dst[k] = T(sum * inverseRoot(c.In[2][k], o.Epsilon))
	})
}

// Emit sums the products of dy and x - mean.
func (o BatchNormGradientScale) Emit(e *Emitter, s Operands) string {
	x := e.centred(s.In[0], s.In[1], s.Shapes[0])
	return e.Mul(e.channelSum(e.Mul(s.In[3], x), s.Shapes[0]), e.inverseRoot(s.In[2], o.Epsilon))
}

// BatchNormGradientInput is the gradient of BatchNorm with respect to x, including
// that through the mean and the variance (Ioffe and Szegedy 2015, section 3): with
// x' the normalised x and M elements in a channel,
//
//	scale/sqrt(variance + Epsilon) · (dy - dshift/M - x'·dscale/M).
//
// Its inputs are x [N,C,...], mean, variance and scale [C], dy, and the other
// gradients, dscale and dshift [C].
type BatchNormGradientInput struct{ Epsilon float64 }

// Infer keeps the shape of x.
func (BatchNormGradientInput) Infer(in []Shape) (Shape, error) {
	if len(in) != 7 || !in[4].Equal(in[0]) {
		return nil, fmt.Errorf("inputs of shapes %v, expected x, mean, variance, scale, dy, dscale and dshift", in)
	}
	return likeFirst(slices.Concat(in[:4], in[5:]), 6)
}

// Run32 is the float32 kernel.
func (o BatchNormGradientInput) Run32(c Call[float32]) { batchNormGradientInput(o, c) }

// Run64 is the float64 kernel.
func (o BatchNormGradientInput) Run64(c Call[float64]) { batchNormGradientInput(o, c) }

func batchNormGradientInput[T Float](o BatchNormGradientInput, c Call[T]) {
	s := c.Shape
	area, m := s[2:].Size(), count(s)
	parallel(s[0]*s[1], func(i int) {
		k := i % s[1]
		root := inverseRoot(c.In[2][k], o.Epsilon)
		by, mean := T(float64(c.In[3][k])*root), c.In[1][k]
		dx, dy := T(float64(c.In[5][k])*root/m), T(float64(c.In[6][k])/m)
		x, from, to := c.In[0][i*area:][:area], c.In[4][i*area:][:area], c.Dst[i*area:][:area]
		for j, v := range from {
			to[j] = by * (v - dy - T((x[j]-mean)*dx))
		}
	})
}

// Emit writes two inference BatchNormalizations, of dy and of x - mean: the fastest
// way to scale and shift channels.
func (o BatchNormGradientInput) Emit(e *Emitter, s Operands) string {
	m, c := count(s.Shape), s.Shape[1]
	zero, one := e.filled(c, 0), e.filled(c, 1)
	root := e.inverseRoot(s.In[2], o.Epsilon)
	by := e.Mul(s.In[3], root)
	slope := e.Mul(e.Mul(by, root), e.Mul(s.In[5], e.Number(-1/m)))
	dy := e.normalised(s.In[4], by, zero, e.Mul(s.In[6], e.Number(1/m)), one, 0)
	return e.Add(dy, e.normalised(e.centred(s.In[0], s.In[1], s.Shape), slope, zero, zero, one, 0))
}

// BatchNormFrozenGradientInput is the gradient of BatchNormFrozen with respect to
// x, dy·scale/sqrt(variance + Epsilon); its inputs are dy [N,C,...], scale and
// variance [C].
type BatchNormFrozenGradientInput struct{ Epsilon float64 }

// Infer keeps the shape of dy.
func (BatchNormFrozenGradientInput) Infer(in []Shape) (Shape, error) { return likeFirst(in, 3) }

// Run32 is the float32 kernel.
func (o BatchNormFrozenGradientInput) Run32(c Call[float32]) { batchNormFrozenGradientInput(o, c) }

// Run64 is the float64 kernel.
func (o BatchNormFrozenGradientInput) Run64(c Call[float64]) { batchNormFrozenGradientInput(o, c) }

func batchNormFrozenGradientInput[T Float](o BatchNormFrozenGradientInput, c Call[T]) {
	s := c.Shape
	area := s[2:].Size()
	parallel(s[0]*s[1], func(i int) {
		by := T(float64(c.In[1][i%s[1]]) * inverseRoot(c.In[2][i%s[1]], o.Epsilon))
		dx := c.Dst[i*area:][:area]
		for j, v := range c.In[0][i*area:][:area] {
			dx[j] = v * by
		}
	})
}

// Emit writes BatchNormalization without mean and shift.
func (o BatchNormFrozenGradientInput) Emit(e *Emitter, s Operands) string {
	zero := e.filled(s.Shape[1], 0)
	return e.normalised(s.In[0], s.In[1], zero, zero, s.In[2], o.Epsilon)
}

func (e *Emitter) inverseRoot(variance string, epsilon float64) string {
	return e.Node("Reciprocal", []string{e.Node("Sqrt", []string{e.Add(variance, e.Number(epsilon))})})
}

// filled is a constant [n] of equal elements.
func (e *Emitter) filled(n int, v float32) string {
	return e.Floats(Shape{n}, slices.Repeat([]float32{v}, n)...)
}

func ones(n int) []int { return slices.Repeat([]int{1}, n) }
