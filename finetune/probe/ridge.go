package probe

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// tile is the side of the tiles that a Gram matrix is computed in.
const tile = 256

// ridge is least squares in float64. Row i of Z [n,D] holds the standardised
// features less their weighted mean, times √(s_i/S), and row i of Y [n,k] the one-hot
// label likewise. Then W = (ZᵀZ + λ)⁻¹ZᵀY, or, with fewer rows than features,
// W = Zᵀ(ZZᵀ + λ)⁻¹Y. Only a few tiles of Z are in memory at a time.
type ridge struct {
	*training
	rows   []int
	root   []float64 // [n], √(s_i/S)
	centre []float64 // [D]
	share  []float64 // [k], fraction of the weight in each class
	dual   bool
	gram   *mat.SymDense // ZᵀZ or ZZᵀ
	right  *mat.Dense    // ZᵀY or Y
	square float64       // |Y|²
}

func newRidge(ctx context.Context, t *training) (*ridge, error) {
	r := &ridge{training: t, centre: make([]float64, t.D), share: make([]float64, len(t.classes)), dual: t.rows < t.D}
	for i, w := range t.weights {
		if w != 0 {
			r.rows, r.root = append(r.rows, i), append(r.root, math.Sqrt(w/t.sum))
			r.share[t.label[i]] += w / t.sum
		}
	}
	r.columns(func(_, from, to int) {
		for i, row := range r.rows {
			for j := from; j < to; j++ {
				r.centre[j] += r.root[i] * r.root[i] * float64(t.X[row*t.D+j])
			}
		}
	})
	for _, s := range r.share {
		r.square += s - s*s
	}
	r.multiply(ctx)
	return r, context.Cause(ctx)
}

// columns calls f for blocks of features, on all cores.
func (r *ridge) columns(f func(part, from, to int)) { parallel(r.D, tile, f) }

// part computes a block of rows and columns of Z.
func (r *ridge) part(buffer []float64, rows, columns [2]int) blas64.General {
	width := columns[1] - columns[0]
	z := blas64.General{Rows: rows[1] - rows[0], Cols: width, Stride: width, Data: buffer[:(rows[1]-rows[0])*width]}
	for i := range z.Rows {
		x := r.X[r.rows[rows[0]+i]*r.D:]
		for j := range width {
			at := columns[0] + j
			z.Data[i*width+j] = (float64(x[at]) - r.centre[at]) * r.inverse[at] * r.root[rows[0]+i]
		}
	}
	return z
}

// multiply computes gram, of which the upper tiles suffice, and right.
func (r *ridge) multiply(ctx context.Context) {
	n, inner := r.D, len(r.rows)
	if r.dual {
		n, inner = inner, n
	}
	out := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	tiles := (n + tile - 1) / tile
	parallel(tiles*tiles, 1, func(p, _, _ int) {
		if p/tiles <= p%tiles {
			r.product(ctx, out, [2]int{p / tiles * tile, min(n, (p/tiles+1)*tile)}, [2]int{p % tiles * tile, min(n, (p%tiles+1)*tile)}, inner)
		}
	})
	r.gram = mat.NewSymDense(n, out.Data)
	r.right = mat.NewDense(n, len(r.share), nil)
	if r.dual {
		for i, row := range r.rows {
			for c, s := range r.share {
				r.right.Set(i, c, -r.root[i]*s)
			}
			c := r.label[row]
			r.right.Set(i, c, r.right.At(i, c)+r.root[i])
		}
		return
	}
	r.columns(func(_, from, to int) { // Z is centred, so the mean of Y contributes nothing
		buffer := make([]float64, to-from)
		for i, row := range r.rows {
			c := r.label[row]
			for j, z := range r.part(buffer, [2]int{i, i + 1}, [2]int{from, to}).Data {
				r.right.Set(from+j, c, r.right.At(from+j, c)+z*r.root[i])
			}
		}
	})
}

// product computes one tile of gram, rows a and columns b.
func (r *ridge) product(ctx context.Context, out blas64.General, a, b [2]int, inner int) {
	dst := blas64.General{Rows: a[1] - a[0], Cols: b[1] - b[0], Stride: out.Stride, Data: out.Data[a[0]*out.Stride+b[0]:]}
	x, y := make([]float64, tile*blockRows), make([]float64, tile*blockRows)
	for from := 0; from < inner && ctx.Err() == nil; from += blockRows {
		along := [2]int{from, min(inner, from+blockRows)}
		if r.dual {
			blas64.Gemm(blas.NoTrans, blas.Trans, 1, r.part(x, a, along), r.part(y, b, along), 1, dst)
		} else {
			blas64.Gemm(blas.Trans, blas.NoTrans, 1, r.part(x, along, a), r.part(y, along, b), 1, dst)
		}
	}
}

func (r *ridge) fit(ctx context.Context, at Setting, _ []float64) (Model, []float64, Report, error) {
	n, k := r.right.Dims()
	sum := mat.NewSymDense(n, nil)
	sum.CopySym(r.gram)
	for i := range n {
		sum.SetSym(i, i, sum.At(i, i)+at.Lambda)
	}
	var factor mat.Cholesky
	if !factor.Factorize(sum) {
		return nil, nil, Report{}, fmt.Errorf("probe: a penalty of %v is too small for ridge on these features", at.Lambda)
	}
	var v mat.Dense // [n,k]
	var condition mat.Condition
	if err := factor.SolveTo(&v, r.right); err != nil && !errors.As(err, &condition) {
		return nil, nil, Report{}, fmt.Errorf("probe: ridge: %w", err)
	}
	dot := floats.Dot(v.RawMatrix().Data, r.right.RawMatrix().Data)
	report := Report{Objective: r.square - dot, Iterations: 1, Evaluations: 1, Converged: true}
	if r.dual {
		report.Objective = at.Lambda * dot
	}
	w, b := make([]float32, k*r.D), make([]float64, k)
	r.columns(func(_, from, to int) {
		some := v.RawMatrix()
		if r.dual {
			some = r.back(some, from, to)
		} else {
			some.Rows, some.Data = to-from, some.Data[from*some.Stride:]
		}
		for j := range some.Rows {
			for c := range k {
				w[c*r.D+from+j] = float32(some.Data[j*some.Stride+c] * r.inverse[from+j])
			}
		}
	})
	for c := range b {
		b[c] = r.share[c]
		for j, m := range r.centre {
			b[c] -= float64(w[c*r.D+j]) * m
		}
	}
	return newHead(r.training, w, b, 0), nil, report, context.Cause(ctx)
}

// back computes rows from to to-1 of Zᵀv.
func (r *ridge) back(v blas64.General, from, to int) blas64.General {
	dst := blas64.General{Rows: to - from, Cols: v.Cols, Stride: v.Cols, Data: make([]float64, (to-from)*v.Cols)}
	buffer := make([]float64, blockRows*tile)
	for i := 0; i < len(r.rows); i += blockRows {
		n := min(blockRows, len(r.rows)-i)
		some := blas64.General{Rows: n, Cols: v.Cols, Stride: v.Stride, Data: v.Data[i*v.Stride:]}
		blas64.Gemm(blas.Trans, blas.NoTrans, 1, r.part(buffer, [2]int{i, i + n}, [2]int{from, to}), some, 1, dst)
	}
	return dst
}
