package graph

import (
	"fmt"
	"slices"
)

// Transpose permutes dimensions: dimension i of the output is Perm[i] of the
// input.
type Transpose struct{ Perm []int }

// Infer permutes the shape.
func (o Transpose) Infer(in []Shape) (Shape, error) {
	sorted := slices.Sorted(slices.Values(o.Perm))
	if len(in) != 1 || len(o.Perm) != len(in[0]) {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of %d dimensions", in, len(o.Perm))
	}
	for i, p := range sorted {
		if p != i {
			return nil, fmt.Errorf("perm is %v, expected a permutation", o.Perm)
		}
	}
	out := make(Shape, len(o.Perm))
	for i, p := range o.Perm {
		out[i] = in[0][p]
	}
	return out, nil
}

// Run32 is the float32 kernel.
func (o Transpose) Run32(c Call[float32]) { transpose(o, c) }

// Run64 is the float64 kernel.
func (o Transpose) Run64(c Call[float64]) { transpose(o, c) }

func transpose[T Float](o Transpose, c Call[T]) {
	strides := c.Shapes[0].strides()
	step := make([]int, len(o.Perm))
	for i, p := range o.Perm {
		step[i] = strides[p]
	}
	walk(c.Shape, step, func(to, from int) { c.Dst[to] = c.In[0][from] })
}

// Wrt reports that the input has a derivative.
func (Transpose) Wrt(n int) []bool { return every(n) }

// Diff returns the inverse permutation.
func (o Transpose) Diff(b *Builder, _ []Value, _, dy Value) []Value {
	inverse := make([]int, len(o.Perm))
	for i, p := range o.Perm {
		inverse[p] = i
	}
	return []Value{b.Apply(Transpose{inverse}, dy)}
}

// Emit writes Transpose.
func (o Transpose) Emit(e *Emitter, s Operands) string { return e.Transpose(s.In[0], o.Perm...) }

// strides returns the row-major strides of a shape.
func (s Shape) strides() []int {
	out, n := make([]int, len(s)), 1
	for i := len(s) - 1; i >= 0; i-- {
		out[i], n = n, n*s[i]
	}
	return out
}

// walk calls f for each element of a row-major tensor of shape s in order, with its
// index and the index of the same coordinates under the strides step.
func walk(s Shape, step []int, f func(to, from int)) {
	n := s.Size()
	at, from := make([]int, len(s)), 0
	for to := range n {
		f(to, from)
		for i := len(s) - 1; i >= 0; i-- {
			from += step[i]
			if at[i]++; at[i] < s[i] {
				break
			}
			at[i], from = 0, from-step[i]*s[i]
		}
	}
}
