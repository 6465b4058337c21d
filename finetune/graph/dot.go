package graph

// Dot is the sum of the products x·g of two tensors of one shape. The gradient with
// respect to x is g: as a term of a loss, it passes on a gradient that was computed
// elsewhere.
type Dot struct{}

// Infer expects two tensors of one shape; the output is a single number.
func (Dot) Infer(in []Shape) (Shape, error) {
	_, err := sameShapes(in, 2)
	return Shape{}, err
}

// Run32 is the float32 kernel.
func (Dot) Run32(c Call[float32]) { dot(c) }

// Run64 is the float64 kernel.
func (Dot) Run64(c Call[float64]) { dot(c) }

func dot[T Float](c Call[T]) {
	sum := 0.0
	for i, x := range c.In[0] {
		sum += float64(x) * float64(c.In[1][i])
	}
	c.Dst[0] = T(sum)
}

// Wrt reports that only x has a derivative: g is given.
func (Dot) Wrt(n int) []bool { return first(n) }

// Diff returns g·dy, or g itself if dy is 1.
func (Dot) Diff(b *Builder, in []Value, _, dy Value) []Value {
	if dy.One() {
		return []Value{in[1], {}}
	}
	return []Value{b.Apply(Binary{"Mul"}, in[1], dy), {}}
}

// Emit writes product and sums.
func (Dot) Emit(e *Emitter, s Operands) string {
	return e.total(e.Mul(s.In[0], s.In[1]), s.Shapes[0])
}
