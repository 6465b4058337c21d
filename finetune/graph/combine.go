package graph

import "fmt"

// Axpy is A·x + y; its inputs are x and y. Weight decay and momentum are such.
type Axpy struct{ A float64 }

// Infer wants equal shapes.
func (Axpy) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the kernel.
func (o Axpy) Run32(c Call[float32]) { axpy(o, c) }

// Run64 is the kernel.
func (o Axpy) Run64(c Call[float64]) { axpy(o, c) }

func axpy[T Float](o Axpy, c Call[T]) {
	a := T(o.A)
	for i, x := range c.In[0] {
		c.Dst[i] = T(a*x) + c.In[1][i]
	}
}

// Emit is Mul and Add.
func (o Axpy) Emit(e *Emitter, s Site) string {
	return e.Add(e.Mul(s.In[0], e.Number(o.A)), s.In[1])
}

// Blend is Keep·x + Take·y; its inputs are x and y. Moving averages are such.
type Blend struct{ Keep, Take float64 }

// Infer wants equal shapes.
func (Blend) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the kernel.
func (o Blend) Run32(c Call[float32]) { blend(o, c) }

// Run64 is the kernel.
func (o Blend) Run64(c Call[float64]) { blend(o, c) }

func blend[T Float](o Blend, c Call[T]) {
	keep, take := T(o.Keep), T(o.Take)
	for i, x := range c.In[0] {
		c.Dst[i] = T(keep*x) + T(take*c.In[1][i])
	}
}

// Emit is two Mul and an Add.
func (o Blend) Emit(e *Emitter, s Site) string {
	return e.Add(e.Mul(s.In[0], e.Number(o.Keep)), e.Mul(s.In[1], e.Number(o.Take)))
}

// Toward is x + r·(Scale·y - x); its inputs are x, y and r [1]. With r = 1/t in
// the t-th step, x is the mean of all Scale·y.
type Toward struct{ Scale float64 }

// Infer wants x and y of one shape, and a number.
func (Toward) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 || !in[2].Equal(Shape{1}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected x, y and [1]", in)
	}
	return sameShapes(in[:2], 2)
}

// Run32 is the kernel.
func (o Toward) Run32(c Call[float32]) { toward(o, c) }

// Run64 is the kernel.
func (o Toward) Run64(c Call[float64]) { toward(o, c) }

func toward[T Float](o Toward, c Call[T]) {
	scale, r := T(o.Scale), c.In[2][0]
	for i, x := range c.In[0] {
		c.Dst[i] = x + T(r*(T(scale*c.In[1][i])-x))
	}
}

// Emit is a Mul, a Sub, a Mul and an Add.
func (o Toward) Emit(e *Emitter, s Site) string {
	return e.Add(s.In[0], e.Mul(e.Sub(e.Mul(s.In[1], e.Number(o.Scale)), s.In[0]), s.In[2]))
}
