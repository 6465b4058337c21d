package graph

import "fmt"

// SGD is stochastic gradient descent as PyTorch's torch.optim.SGD has it, with
// dampening 0 and coupled weight decay: d = gradient + decay·w,
// m = momentum·m + d, w -= rate·m; Nesterov's takes d + momentum·m in place of
// m.
type SGD struct {
	Momentum float64
	Nesterov bool
}

// Update makes the next values of the parameter and of its momentum.
func (o SGD) Update(b *Builder, p Param, r Rule, w, gradient Value) (out []Next) {
	d := gradient
	if r.WeightDecay != 0 {
		d = b.Apply(Axpy{r.WeightDecay}, w, d)
	}
	if o.Momentum != 0 {
		momentum := Variable{p.Name, FirstMoment}
		m := b.Apply(Axpy{o.Momentum}, b.Variable(momentum, p.Shape), d)
		out = append(out, Next{momentum, m})
		if o.Nesterov {
			m = b.Apply(Axpy{o.Momentum}, m, d)
		}
		d = m
	}
	next := b.Apply(Descend{r.LRScale}, w, d, b.Input(LR, Shape{1}))
	return append([]Next{{Variable{Name: p.Name}, next}}, out...)
}

// Inputs are none.
func (SGD) Inputs(int) map[string]float64 { return nil }

// Descend is w - lr·LRScale·d; its inputs are w, d and lr [1].
type Descend struct{ LRScale float64 }

// Infer wants w and d of one shape, and a number.
func (Descend) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 || !in[2].Equal(Shape{1}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected w, d and [1]", in)
	}
	return sameShapes(in[:2], 2)
}

// Run32 is the kernel.
func (o Descend) Run32(c Call[float32]) { descend(o, c) }

// Run64 is the kernel.
func (o Descend) Run64(c Call[float64]) { descend(o, c) }

func descend[T Float](o Descend, c Call[T]) {
	rate := c.In[2][0] * T(o.LRScale)
	for i, w := range c.In[0] {
		c.Dst[i] = w - T(rate*c.In[1][i])
	}
}

// Emit is two Mul and a Sub.
func (o Descend) Emit(e *Emitter, s Site) string {
	return e.Sub(s.In[0], e.Mul(s.In[1], scaled(e, s.In[2], o.LRScale)))
}

// scaled is a value times a constant, which may be 1.
func scaled(e *Emitter, v string, by float64) string {
	if by == 1 {
		return v
	}
	return e.Mul(v, e.Number(by))
}
