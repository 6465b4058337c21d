package graph

// MulScalar is x·By.
type MulScalar struct{ By float64 }

// Infer keeps the shape.
func (MulScalar) Infer(in []Shape) (Shape, error) { return sameShapes(in, 1) }

// Run32 is the float32 kernel.
func (o MulScalar) Run32(c Call[float32]) { mulScalar(o, c) }

// Run64 is the float64 kernel.
func (o MulScalar) Run64(c Call[float64]) { mulScalar(o, c) }

func mulScalar[T Float](o MulScalar, c Call[T]) {
	by := T(o.By)
	for i, x := range c.In[0] {
		c.Dst[i] = by * x
	}
}

// Wrt reports that the input has a derivative.
func (MulScalar) Wrt(n int) []bool { return every(n) }

// Diff returns dy·By.
func (o MulScalar) Diff(b *Builder, _ []Value, _, dy Value) []Value { return []Value{b.Apply(o, dy)} }

// Emit writes Mul.
func (o MulScalar) Emit(e *Emitter, s Operands) string { return e.Mul(s.In[0], e.Number(o.By)) }

// scale multiplies v by a factor; it returns v itself if the factor is 1.
func (b *Builder) scale(v Value, by float64) Value {
	if by == 1 {
		return v
	}
	return b.Apply(MulScalar{by}, v)
}
