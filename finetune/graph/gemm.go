package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// MatMul is the product of two matrices, each of which may be transposed first.
type MatMul struct{ TransA, TransB bool }

// sizes are rows and columns of a matrix after its transposition.
func sizes(s Shape, trans bool) (rows, columns int) {
	if trans {
		return s[1], s[0]
	}
	return s[0], s[1]
}

// Infer wants matrices that fit.
func (o MatMul) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 || len(in[0]) != 2 || len(in[1]) != 2 {
		return nil, fmt.Errorf("inputs of shapes %v, expected two matrices", in)
	}
	m, k := sizes(in[0], o.TransA)
	l, n := sizes(in[1], o.TransB)
	if k != l {
		return nil, fmt.Errorf("%v times %v (transposed: %v, %v): %d columns meet %d rows", in[0], in[1], o.TransA, o.TransB, k, l)
	}
	return Shape{m, n}, nil
}

// Run32 is the kernel.
func (o MatMul) Run32(c Call[float32]) { matMul(o, c) }

// Run64 is the kernel.
func (o MatMul) Run64(c Call[float64]) { matMul(o, c) }

func matMul[T Float](o MatMul, c Call[T]) {
	_, k := sizes(c.Shapes[0], o.TransA)
	clear(c.Dst)
	gemm(o.TransA, o.TransB, c.Shape[0], c.Shape[1], k, c.In[0], c.In[1], c.Dst)
}

// Wrt is both.
func (MatMul) Wrt(n int) []bool { return every(n) }

// Diff is dA = dY·Bᵀ and dB = Aᵀ·dY where nothing is transposed.
func (o MatMul) Diff(b *Builder, in []Value, _, dy Value) []Value {
	da := func() Value {
		if o.TransA {
			return b.Apply(MatMul{o.TransB, true}, in[1], dy)
		}
		return b.Apply(MatMul{false, !o.TransB}, dy, in[1])
	}
	db := func() Value {
		if o.TransB {
			return b.Apply(MatMul{true, o.TransA}, dy, in[0])
		}
		return b.Apply(MatMul{!o.TransA, false}, in[0], dy)
	}
	return []Value{da(), db()}
}

// Emit is Gemm.
func (o MatMul) Emit(e *Emitter, s Site) string {
	flag := map[bool]int64{true: 1}
	return e.Node("Gemm", s.In, onnx.Int("transA", flag[o.TransA]), onnx.Int("transB", flag[o.TransB]))
}

// readGemm is alpha·A·B + beta·C.
func readGemm(r *reader, n *pb.NodeProto) Value {
	o := MatMul{r.int(n, "transA", 0) != 0, r.int(n, "transB", 0) != 0}
	y := r.scale(r.Apply(o, r.in(n, 0), r.param(n, 1, Weight)), r.float(n, "alpha", 1))
	if !has(n, 2) {
		return y
	}
	c := r.scale(r.param(n, 2, Bias), r.float(n, "beta", 1))
	if s, err := broadcast(y.Shape(), c.Shape()); err != nil || !s.Equal(y.Shape()) {
		r.fail("C has shape %v, expected one that fits %v", c.Shape(), y.Shape())
	}
	return r.binary("Add", y, c)
}

// readMatMul is for a matrix on the right; A may be a stack of matrices.
func readMatMul(r *reader, n *pb.NodeProto) Value {
	a, b := r.in(n, 0), r.param(n, 1, Weight)
	s, t := a.Shape(), b.Shape()
	if len(s) < 2 || len(t) != 2 {
		r.fail("shapes %v and %v, expected [...,M,K] and [K,N]", s, t)
	}
	k := s[len(s)-1]
	y := r.Apply(MatMul{}, r.reshape(a, Shape{s.Size() / k, k}), b)
	return r.reshape(y, append(slices.Clone(s[:len(s)-1]), t[1]))
}
