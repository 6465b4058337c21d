package graph

import "slices"

// Sum adds tensors of one shape, two or more, from the first on. Gradients that
// meet at a value are added by it.
type Sum struct{}

// Infer wants equal shapes.
func (Sum) Infer(in []Shape) (Shape, error) { return sameShapes(in, max(len(in), 2)) }

// Run32 is the kernel.
func (Sum) Run32(c Call[float32]) { sum(c) }

// Run64 is the kernel.
func (Sum) Run64(c Call[float64]) { sum(c) }

func sum[T Float](c Call[T]) {
	copy(c.Dst, c.In[0])
	for _, x := range c.In[1:] {
		for i, v := range x {
			c.Dst[i] += v
		}
	}
}

// Wrt is all.
func (Sum) Wrt(n int) []bool { return every(n) }

// Diff hands dy to every term.
func (Sum) Diff(_ *Builder, in []Value, _, dy Value) []Value {
	return slices.Repeat([]Value{dy}, len(in))
}

// Emit is a chain of Add.
func (Sum) Emit(e *Emitter, s Site) string {
	v := s.In[0]
	for _, x := range s.In[1:] {
		v = e.Add(v, x)
	}
	return v
}
