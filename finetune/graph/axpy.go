package graph

import "fmt"

// Axpy is A·x + y; its inputs are x and y. Weight decay and momentum use it.
type Axpy struct{ A float64 }

// Infer expects equal shapes.
func (Axpy) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the float32 kernel.
func (o Axpy) Run32(c Call[float32]) { axpy(o, c) }

// Run64 is the float64 kernel.
func (o Axpy) Run64(c Call[float64]) { axpy(o, c) }

func axpy[T Float](o Axpy, c Call[T]) {
	a := T(o.A)
	for i, x := range c.In[0] {
		c.Dst[i] = T(a*x) + c.In[1][i]
	}
}

// Emit writes Mul and Add.
func (o Axpy) Emit(e *Emitter, s Operands) string {
	return e.Add(e.Mul(s.In[0], e.Number(o.A)), s.In[1])
}

// Axpby is A·x + B·y; its inputs are x and y. Moving averages use it.
type Axpby struct{ A, B float64 }

// Infer expects equal shapes.
func (Axpby) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the float32 kernel.
func (o Axpby) Run32(c Call[float32]) { axpby(o, c) }

// Run64 is the float64 kernel.
func (o Axpby) Run64(c Call[float64]) { axpby(o, c) }

func axpby[T Float](o Axpby, c Call[T]) {
	a, b := T(o.A), T(o.B)
	for i, x := range c.In[0] {
		c.Dst[i] = T(a*x) + T(b*c.In[1][i])
	}
}

// Emit writes two Mul and an Add.
func (o Axpby) Emit(e *Emitter, s Operands) string {
	return e.Add(e.Mul(s.In[0], e.Number(o.A)), e.Mul(s.In[1], e.Number(o.B)))
}

// Lerp is x + r·(Scale·y - x), the linear interpolation from x to Scale·y; its
// inputs are x, y and r [1]. With r = 1/t in step t, it computes the running mean
// of Scale·y.
type Lerp struct{ Scale float64 }

// Infer expects x and y of one shape, and r [1].
func (Lerp) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 || !in[2].Equal(Shape{1}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected x, y and [1]", in)
	}
	return sameShapes(in[:2], 2)
}

// Run32 is the float32 kernel.
func (o Lerp) Run32(c Call[float32]) { lerp(o, c) }

// Run64 is the float64 kernel.
func (o Lerp) Run64(c Call[float64]) { lerp(o, c) }

func lerp[T Float](o Lerp, c Call[T]) {
	scale, r := T(o.Scale), c.In[2][0]
	for i, x := range c.In[0] {
		c.Dst[i] = x + T(r*(T(scale*c.In[1][i])-x))
	}
}

// Emit writes a Mul, a Sub, a Mul and an Add.
func (o Lerp) Emit(e *Emitter, s Operands) string {
	return e.Add(s.In[0], e.Mul(e.Sub(e.Mul(s.In[1], e.Number(o.Scale)), s.In[0]), s.In[2]))
}
