package probe

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// sketch is an approximation of the covariance G [D,D] of the standardised features:
// its largest eigenvalues with their vectors, and the mean of the others. Features of
// a network are strongly correlated, which makes plain L-BFGS slow; preconditioned
// by G it is not.
type sketch struct {
	vectors *mat.Dense // [D,r], orthonormal
	values  []float64  // [r]
	rest    float64    // mean of the other eigenvalues

	along, back mat.Dense // buffers of divide, larger together than the features may be
}

// resolved is the smallest eigenvalue, relative to the largest, that float32 products
// can resolve.
const resolved = 1e-6

// newSketch takes one pass over the training rows for the Nyström approximation
// Y(ΩᵀY)⁻¹Yᵀ of G, where Y = GΩ and Ω [D,rank] is random (Frangella, Tropp and
// Udell, Randomized Nyström preconditioning, 2023). With no more features than rank,
// Ω is the identity and the result is G itself.
func newSketch(ctx context.Context, t *training, rank int) (*sketch, error) {
	rank = min(rank, t.D)
	omega, y, sums := make([]float64, rank*t.D), make([]float64, rank*t.D), make([]float64, rank)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range omega {
		if rank < t.D {
			omega[i] = r.NormFloat64()
		} else if i%(t.D+1) == 0 {
			omega[i] = 1
		}
	}
	_, err := t.pass(ctx, y, sums, omega, make([]float64, rank), func(row int, z []float32, shift []float64) float64 {
		for c := range z {
			z[c] = float32(t.weights[row] / t.sum * (float64(z[c]) + shift[c]))
		}
		return 0
	})
	if err != nil {
		return nil, err
	}
	s := &sketch{}
	return s, s.decompose(mat.NewDense(rank, t.D, omega), mat.NewDense(rank, t.D, y), float64(t.varying))
}

// decompose finds the eigenvalues and eigenvectors of yᵀ(Ωyᵀ)⁻¹y; omega and y are
// the transposes of Ω and Y in newSketch.
func (s *sketch) decompose(omega, y *mat.Dense, trace float64) error {
	var core, half, gram mat.Dense
	core.Mul(omega, y.T())
	q, _, err := eigen(&core)
	if err != nil {
		return err
	}
	half.Mul(y.T(), q) // [D,r]; half·halfᵀ is the approximation
	gram.Mul(half.T(), &half)
	if q, s.values, err = eigen(&gram); err != nil {
		return err
	}
	s.vectors = &mat.Dense{}
	s.vectors.Mul(&half, q)
	_, d := y.Dims()
	for _, v := range s.values {
		trace -= v
	}
	s.rest = max(trace/float64(max(1, d-len(s.values))), resolved*s.values[0])
	return nil
}

// eigen returns the resolved eigenvalues of a symmetric matrix, largest first, and the
// eigenvectors, each divided by the square root of its eigenvalue.
func eigen(m *mat.Dense) (*mat.Dense, []float64, error) {
	n, _ := m.Dims()
	symmetric := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			symmetric.SetSym(i, j, (m.At(i, j)+m.At(j, i))/2)
		}
	}
	var e mat.EigenSym
	if !e.Factorize(symmetric, true) {
		return nil, nil, errors.New("probe: the covariance of the features has no eigenvalues")
	}
	all := e.Values(nil)
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	var values []float64
	for i := n - 1; i >= 0 && all[i] > resolved*all[n-1]; i-- {
		values = append(values, all[i])
	}
	if len(values) == 0 {
		return nil, nil, errors.New("probe: all features are constant")
	}
	scaled := mat.NewDense(n, len(values), nil)
	for j, v := range values {
		for i := range n {
			scaled.Set(i, j, vectors.At(i, n-1-j)/math.Sqrt(v))
		}
	}
	return scaled, values, nil
}

// divide multiplies each row of g [k,D] by the inverse of scale[row]·G + lambda.
func (s *sketch) divide(g []float64, scale []float64, lambda float64) {
	k, d := len(scale), len(g)/len(scale)
	rows := mat.NewDense(k, d, g)
	s.along.Mul(rows, s.vectors) // [k,r]
	for c, a := range scale {
		rest := 1 / (a*s.rest + lambda)
		for j, v := range s.values {
			s.along.Set(c, j, s.along.At(c, j)*(1/(a*v+lambda)-rest))
		}
		row := g[c*d : (c+1)*d]
		for j := range row {
			row[j] *= rest
		}
	}
	s.back.Mul(&s.along, s.vectors.T())
	rows.Add(rows, &s.back)
}
