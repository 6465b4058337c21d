package graph

import (
	"fmt"
	"math"
)

// AdamW is torch.optim.AdamW (Loshchilov and Hutter 2019): decoupled weight
// decay, bias-corrected moments.
type AdamW struct{ Beta1, Beta2, Eps float64 }

// Inputs of AdamW, [1] each.
const (
	Correction1 = "correction1" // 1 - beta1^t in step t, counted from 1
	Correction2 = "correction2" // sqrt(1 - beta2^t)
)

// Update returns the next values of the parameter and of both moments.
func (o AdamW) Update(b *Builder, p Param, r Rule, w, gradient Value) []Next {
	first, second := Variable{p.Name, FirstMoment}, Variable{p.Name, SecondMoment}
	m := b.Apply(Axpby{o.Beta1, 1 - o.Beta1}, b.Variable(first, p.Shape), gradient)
	v := b.Apply(AxpbySquare{o.Beta2, 1 - o.Beta2}, b.Variable(second, p.Shape), gradient)
	number := func(name string) Value { return b.Input(name, Shape{1}) }
	next := b.Apply(AdamStep{Eps: o.Eps, LRScale: r.LRScale, WeightDecay: r.WeightDecay}, w, m, v, number(LR), number(Correction1), number(Correction2))
	return []Next{{Variable{Name: p.Name}, next}, {first, m}, {second, v}}
}

// Inputs are the bias corrections of a step, counted from 1.
func (o AdamW) Inputs(step int) map[string]float64 {
	t := float64(step)
	return map[string]float64{Correction1: 1 - math.Pow(o.Beta1, t), Correction2: math.Sqrt(1 - math.Pow(o.Beta2, t))}
}

// AxpbySquare is A·x + B·y²; its inputs are x and y.
type AxpbySquare struct{ A, B float64 }

// Infer expects equal shapes.
func (AxpbySquare) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the float32 kernel.
func (o AxpbySquare) Run32(c Call[float32]) { axpbySquare(o, c) }

// Run64 is the float64 kernel.
func (o AxpbySquare) Run64(c Call[float64]) { axpbySquare(o, c) }

func axpbySquare[T Float](o AxpbySquare, c Call[T]) {
	a, b := T(o.A), T(o.B)
	for i, x := range c.In[0] {
		y := c.In[1][i]
		c.Dst[i] = T(a*x) + T(b*y)*y
	}
}

// Emit writes three Mul and an Add.
func (o AxpbySquare) Emit(e *Emitter, s Operands) string {
	return e.Add(e.Mul(s.In[0], e.Number(o.A)), e.Mul(e.Mul(s.In[1], e.Number(o.B)), s.In[1]))
}

// AdamStep is w·(1 - lr·LRScale·WeightDecay) - lr·LRScale/c1 · m/(sqrt(v)/c2 + Eps); its
// inputs are w, m, v, and lr, c1, c2 [1].
type AdamStep struct{ Eps, LRScale, WeightDecay float64 }

// Infer expects w, m and v of one shape, and three inputs of shape [1].
func (AdamStep) Infer(in []Shape) (Shape, error) {
	if len(in) != 6 || !in[3].Equal(Shape{1}) || !in[4].Equal(Shape{1}) || !in[5].Equal(Shape{1}) {
		return nil, fmt.Errorf("inputs of shapes %v, expected w, m, v and three of [1]", in)
	}
	return sameShapes(in[:3], 3)
}

// Run32 is the float32 kernel.
func (o AdamStep) Run32(c Call[float32]) { adamStep(o, c) }

// Run64 is the float64 kernel.
func (o AdamStep) Run64(c Call[float64]) { adamStep(o, c) }

func adamStep[T Float](o AdamStep, c Call[T]) {
	rate := c.In[3][0] * T(o.LRScale)
	keep, step, c2, eps := 1-T(rate*T(o.WeightDecay)), rate/c.In[4][0], c.In[5][0], T(o.Eps)
	for i, w := range c.In[0] {
		c.Dst[i] = T(w*keep) - T(step*(c.In[1][i]/(T(math.Sqrt(float64(c.In[2][i])))/c2+eps)))
	}
}

// Emit writes the formula.
func (o AdamStep) Emit(e *Emitter, s Operands) string {
	div := func(a, b string) string { return e.Node("Div", []string{a, b}) }
	rate := scaled(e, s.In[3], o.LRScale)
	root := e.Add(div(e.Node("Sqrt", s.In[2:3]), s.In[5]), e.Number(o.Eps))
	w := s.In[0]
	if o.WeightDecay != 0 {
		w = e.Mul(w, e.Sub(e.Number(1), e.Mul(rate, e.Number(o.WeightDecay))))
	}
	return e.Sub(w, e.Mul(div(s.In[1], root), div(rate, s.In[4])))
}
