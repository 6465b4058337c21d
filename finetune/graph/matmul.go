package graph

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// MatMul is the product of two matrices, each of which may be transposed first.
type MatMul struct{ TransA, TransB bool }

// sizes returns the rows and columns of a matrix after its transposition, if any.
func sizes(s Shape, trans bool) (rows, columns int) {
	if trans {
		return s[1], s[0]
	}
	return s[0], s[1]
}

// Infer expects two matrices whose inner sizes agree.
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

// Run32 is the float32 kernel.
func (o MatMul) Run32(c Call[float32]) { matMul(o, c) }

// Run64 is the float64 kernel.
func (o MatMul) Run64(c Call[float64]) { matMul(o, c) }

func matMul[T Float](o MatMul, c Call[T]) {
	_, k := sizes(c.Shapes[0], o.TransA)
	clear(c.Dst)
	gemm(o.TransA, o.TransB, c.Shape[0], c.Shape[1], k, c.In[0], c.In[1], c.Dst)
}

// Wrt reports that both inputs have a derivative.
func (MatMul) Wrt(n int) []bool { return every(n) }

// Diff returns dA = dY·Bᵀ and dB = Aᵀ·dY, transposed as the inputs are.
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

// Emit writes Gemm.
func (o MatMul) Emit(e *Emitter, s Operands) string {
	flag := map[bool]int64{true: 1}
	return e.Node("Gemm", s.In, onnx.Int("transA", flag[o.TransA]), onnx.Int("transB", flag[o.TransB]))
}

// readGemm reads a Gemm, alpha·A·B + beta·C.
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

// readMatMul reads a MatMul by a matrix B; A may be a batch of matrices.
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

// gemm adds the product of a [m,k] and b [k,n] to dst [m,n]; ta and tb say which
// of them is stored transposed. gonum's result does not depend on the number of
// cores.
func gemm[T Float](ta, tb bool, m, n, k int, a, b, dst []T) {
	trans := func(t bool, rows, columns int) (blas.Transpose, int) {
		if t {
			return blas.Trans, rows
		}
		return blas.NoTrans, columns
	}
	at, lda := trans(ta, m, k)
	bt, ldb := trans(tb, k, n)
	switch dst := any(dst).(type) {
	case []float32:
		blas32.Implementation().Sgemm(at, bt, m, n, k, 1, any(a).([]float32), lda, any(b).([]float32), ldb, 1, dst, n)
	case []float64:
		blas64.Implementation().Dgemm(at, bt, m, n, k, 1, any(a).([]float64), lda, any(b).([]float64), ldb, 1, dst, n)
	}
}
