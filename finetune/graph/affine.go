package graph

import "fmt"

// Affine is x·scale + shift per channel; its inputs are x [N,C,H,W], scale [C]
// and shift [C]. It normalises pixels.
type Affine struct{}

// Infer keeps the shape of x.
func (Affine) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 || len(in[0]) != 4 || !in[1].Equal(Shape{in[0][1]}) || !in[2].Equal(in[1]) {
		return nil, fmt.Errorf("inputs of shapes %v, expected [N,C,H,W], [C] and [C]", in)
	}
	return in[0], nil
}

// Run32 is the float32 kernel.
func (Affine) Run32(c Call[float32]) { affine(c) }

// Run64 is the float64 kernel.
func (Affine) Run64(c Call[float64]) { affine(c) }

func affine[T Float](c Call[T]) {
	channels, area := c.Shape[1], c.Shape[2]*c.Shape[3]
	parallel(c.Shape[0]*channels, func(i int) {
		scale, shift := c.In[1][i%channels], c.In[2][i%channels]
		y := c.Dst[i*area:][:area]
		for j, x := range c.In[0][i*area:][:area] {
			y[j] = x*scale + shift
		}
	})
}

// Wrt reports that only x has a derivative: scale and shift are constants.
func (Affine) Wrt(n int) []bool { return first(n) }

// Diff returns dy·scale.
func (Affine) Diff(b *Builder, in []Value, _, dy Value) []Value {
	zero := b.Constant(in[1].Shape(), make([]float32, in[1].Shape().Size())...)
	return []Value{b.Apply(Affine{}, dy, in[1], zero), {}, {}}
}

// Emit writes Mul and Add.
func (Affine) Emit(e *Emitter, s Operands) string {
	c := s.Shape[1]
	return e.Add(e.Mul(s.In[0], e.broadcastChannels(s.In[1], c)), e.broadcastChannels(s.In[2], c))
}
