package graph

import "fmt"

// SGD is stochastic gradient descent as PyTorch's torch.optim.SGD has it, with
// dampening 0 and coupled weight decay: d = gradient + decay·w,
// m = momentum·m + d, w -= rate·m; Nesterov momentum uses d + momentum·m in
// place of m.
type SGD struct {
	Momentum float64
	Nesterov bool
}

// Update returns the next values of the parameter and of its momentum.
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
	next := b.Apply(SGDStep{r.LRScale}, w, d, b.Input(LR, Shape{1}))
	return append([]Next{{Variable{Name: p.Name}, next}}, out...)
}

// Inputs returns nil: SGD needs only the learning rate.
func (SGD) Inputs(int) map[string]float64 { return nil }

// SGDStep is w - lr·LRScale·d; its inputs are w, d and lr [1].
type SGDStep struct{ LRScale float64 }

// Infer expects w and d of one shape, and lr [1].
func (SGDStep) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 || !in[2].Equal(Shape{1}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected w, d and [1]", in)
	}
	return sameShapes(in[:2], 2)
}

// Run32 is the float32 kernel.
func (o SGDStep) Run32(c Call[float32]) { sgdStep(o, c) }

// Run64 is the float64 kernel.
func (o SGDStep) Run64(c Call[float64]) { sgdStep(o, c) }

func sgdStep[T Float](o SGDStep, c Call[T]) {
	rate := c.In[2][0] * T(o.LRScale)
	for i, w := range c.In[0] {
		c.Dst[i] = w - T(rate*c.In[1][i])
	}
}

// Emit writes two Mul and a Sub.
func (o SGDStep) Emit(e *Emitter, s Operands) string {
	return e.Sub(s.In[0], e.Mul(s.In[1], scaled(e, s.In[2], o.LRScale)))
}

// scaled multiplies a value by a constant; it returns the value itself if the
// constant is 1.
func scaled(e *Emitter, v string, by float64) string {
	if by == 1 {
		return v
	}
	return e.Mul(v, e.Number(by))
}
