package probe

import (
	"fmt"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Products multiplies row-major float32 matrices. Implementations must not keep their
// arguments, and change only dst.
type Products interface {
	// Forward sets dst [n,k] to x·wᵀ, x [n,d], w [k,d].
	Forward(dst, x, w []float32, d int) error
	// Backward sets dst [k,d] to rᵀ·x, r [n,k], x [n,d].
	Backward(dst, r, x []float32, d int) error
}

// Gonum is a Products in pure Go, on all cores, for machines without onnxruntime.
type Gonum struct{}

// Forward implements Products.
func (Gonum) Forward(dst, x, w []float32, d int) error {
	n, k := len(x)/d, len(w)/d
	if n*k != len(dst) || n*d != len(x) || k*d != len(w) {
		return fmt.Errorf("probe: matrices of %d, %d and %d floats do not fit a width of %d", len(x), len(w), len(dst), d)
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, general(x, d), general(w, d), 0, general(dst, k))
	return nil
}

// Backward implements Products.
func (Gonum) Backward(dst, r, x []float32, d int) error {
	n, k := len(x)/d, len(dst)/d
	if n*k != len(r) || n*d != len(x) || k*d != len(dst) {
		return fmt.Errorf("probe: matrices of %d, %d and %d floats do not fit a width of %d", len(x), len(dst), len(r), d)
	}
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, general(r, k), general(x, d), 0, general(dst, d))
	return nil
}

func general(data []float32, columns int) blas32.General {
	return blas32.General{Rows: len(data) / columns, Cols: columns, Stride: columns, Data: data}
}

// parallel divides 0 to n-1 into parts of a size and calls f for each part, on all
// cores. Parts do not depend on the number of cores, so neither do sums by part.
func parallel(n, size int, f func(part, from, to int)) {
	var group sync.WaitGroup
	parts := (n + size - 1) / size
	workers := min(runtime.GOMAXPROCS(0), parts)
	for w := range workers {
		group.Go(func() {
			for p := w; p < parts; p += workers {
				f(p, p*size, min(n, (p+1)*size))
			}
		})
	}
	group.Wait()
}
