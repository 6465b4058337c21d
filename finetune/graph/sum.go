package graph

import "slices"

// Sum adds two or more tensors of one shape, in order. It also adds up the
// gradients of a value with several readers.
type Sum struct{}

// Infer expects equal shapes.
func (Sum) Infer(in []Shape) (Shape, error) { return sameShapes(in, max(len(in), 2)) }

// Run32 is the float32 kernel.
func (Sum) Run32(c Call[float32]) { sum(c) }

// Run64 is the float64 kernel.
func (Sum) Run64(c Call[float64]) { sum(c) }

func sum[T Float](c Call[T]) {
	copy(c.Dst, c.In[0])
	for _, x := range c.In[1:] {
		for i, v := range x {
			c.Dst[i] += v
		}
	}
}

// Wrt reports that every input has a derivative.
func (Sum) Wrt(n int) []bool { return every(n) }

// Diff returns dy for every term.
func (Sum) Diff(_ *Builder, in []Value, _, dy Value) []Value {
	return slices.Repeat([]Value{dy}, len(in))
}

// Emit writes a chain of Adds.
func (Sum) Emit(e *Emitter, s Operands) string {
	v := s.In[0]
	for _, x := range s.In[1:] {
		v = e.Add(v, x)
	}
	return v
}
