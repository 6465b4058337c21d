package graph

// Times is x·By.
type Times struct{ By float64 }

// Infer keeps the shape.
func (Times) Infer(in []Shape) (Shape, error) { return sameShapes(in, 1) }

// Run32 is the kernel.
func (o Times) Run32(c Call[float32]) { times(o, c) }

// Run64 is the kernel.
func (o Times) Run64(c Call[float64]) { times(o, c) }

func times[T Float](o Times, c Call[T]) {
	by := T(o.By)
	for i, x := range c.In[0] {
		c.Dst[i] = by * x
	}
}

// Wrt is the input.
func (Times) Wrt(n int) []bool { return every(n) }

// Diff is dy·By.
func (o Times) Diff(b *Builder, _ []Value, _, dy Value) []Value { return []Value{b.Apply(o, dy)} }

// Emit is Mul.
func (o Times) Emit(e *Emitter, s Site) string { return e.Mul(s.In[0], e.Number(o.By)) }

// scale is v itself where the factor is 1.
func (b *Builder) scale(v Value, by float64) Value {
	if by == 1 {
		return v
	}
	return b.Apply(Times{by}, v)
}
