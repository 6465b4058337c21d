package view

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// Components is a principal component analysis.
type Components struct {
	Mean      []float64 // [D]
	Axes      []float64 // [K,D], orthonormal rows, the first has the largest variance
	Variance  []float64 // [K], along the axes, with N-1 as the divisor
	Ratio     []float64 // [K], of the variance of all features together
	Projected []float64 // [N,K]: the centred rows along the axes
}

// PCA finds the first k principal components of x [n,d]; k is at most d, and n
// at least 2. The sign of an axis is such that its entry of largest magnitude
// is positive. Features that are not finite are an error.
//
// The axes are those of a block Krylov space with full reorthogonalisation
// (Golub and Van Loan 2013, section 10.3): the covariance matrix is never made.
// The space grows until the residuals are below 1e-11 of the largest variance,
// or until it has 600 dimensions, which only variances that are almost equal
// come to.
func PCA(ctx context.Context, x []float32, n, d, k int) (*Components, error) {
	if n < 2 || k < 1 || k > d || len(x) != n*d {
		return nil, fmt.Errorf("view: %d components of %d features [%d,%d], expected 2 rows or more and at most %d components", k, len(x), n, d, d)
	}
	p := &pca{x: x, n: n, d: d, k: k}
	total, err := p.center()
	if err != nil {
		return nil, err
	}
	c := &Components{Mean: p.mean}
	if c.Axes, c.Variance, err = p.axes(ctx); err != nil {
		return nil, err
	}
	for i, v := range c.Variance {
		c.Variance[i] = max(0, v) / float64(n-1)
		share := 0.0
		if total > 0 {
			share = c.Variance[i] * float64(n-1) / total
		}
		c.Ratio = append(c.Ratio, share)
		orient(c.Axes[i*d : (i+1)*d])
	}
	c.Projected = make([]float64, n*k)
	p.rows(func(_, row int, x []float64) {
		for i := range k {
			c.Projected[row*k+i] = dot(x, c.Axes[i*d:(i+1)*d])
		}
	})
	return c, nil
}

// orient makes the entry of largest magnitude positive.
func orient(v []float64) {
	at := 0
	for i := range v {
		if math.Abs(v[i]) > math.Abs(v[at]) {
			at = i
		}
	}
	if v[at] < 0 {
		scale(v, -1)
	}
}

// pca is an analysis under way.
type pca struct {
	x       []float32
	n, d, k int
	mean    []float64
}

// center finds the means and the sum of squares about them.
func (p *pca) center() (total float64, err error) {
	p.mean = make([]float64, p.d)
	for i, v := range p.x {
		if v != v || v-v != 0 {
			return 0, fmt.Errorf("view: feature %d of row %d is %v", i%p.d, i/p.d, v)
		}
		p.mean[i%p.d] += float64(v)
	}
	scale(p.mean, 1/float64(p.n))
	for i, v := range p.x {
		e := float64(v) - p.mean[i%p.d]
		total += e * e
	}
	return total, nil
}

// chunks is how many parts the rows are dealt with in. It is fixed, so that
// sums do not depend on the number of cores.
const chunks = 16

// rows hands out the centred rows, those of a chunk in order and the chunks at
// the same time.
func (p *pca) rows(do func(chunk, row int, x []float64)) {
	var all sync.WaitGroup
	for c := range chunks {
		all.Go(func() {
			centred := make([]float64, p.d)
			for row := c * p.n / chunks; row < (c+1)*p.n/chunks; row++ {
				for j, v := range p.x[row*p.d : (row+1)*p.d] {
					centred[j] = float64(v) - p.mean[j]
				}
				do(c, row, centred)
			}
		})
	}
	all.Wait()
}

// scatter is the scatter matrix times each row of q [b,d].
func (p *pca) scatter(q [][]float64) [][]float64 {
	parts := make([][]float64, chunks)
	for c := range parts {
		parts[c] = make([]float64, len(q)*p.d)
	}
	p.rows(func(c, _ int, x []float64) {
		for i := range q {
			add(parts[c][i*p.d:(i+1)*p.d], dot(x, q[i]), x)
		}
	})
	for _, part := range parts[1:] {
		add(parts[0], 1, part)
	}
	out := make([][]float64, len(q))
	for i := range out {
		out[i] = parts[0][i*p.d : (i+1)*p.d]
	}
	return out
}

const (
	accurate = 1e-11 // residual of an axis, relative to the largest eigenvalue
	largest  = 600   // dimensions of the Krylov space
)

// axes returns the first k eigenvectors [k,d] of the scatter matrix and their
// eigenvalues.
func (p *pca) axes(ctx context.Context) (axes, values []float64, err error) {
	var basis, image [][]float64 // orthonormal, and the scatter matrix times it
	r := rand.New(rand.NewPCG(1, 2))
	block := make([][]float64, min(p.k+2, p.d))
	for i := range block {
		block[i] = random(r, p.d)
	}
	for look := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		block = extend(basis, block, r)
		fresh := p.scatter(block)
		basis, image = append(basis, block...), append(image, fresh...)
		all := len(basis) == p.d || len(basis) > max(largest, p.k)
		if len(basis) >= max(look, p.k) || all {
			look = len(basis) * 5 / 4
			var vectors []float64
			values, vectors = eigen(products(basis, image), len(basis))
			values = values[:p.k]
			axes = combine(vectors, basis, p.k)
			if all || residual(axes, combine(vectors, image, p.k), values) <= accurate*values[0] {
				return axes, values, nil
			}
		}
		block = fresh[:min(len(fresh), p.d-len(basis))]
	}
}

func random(r *rand.Rand, d int) []float64 {
	v := make([]float64, d)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

// extend makes new vectors orthonormal to the basis and to each other. What is
// in the span already is replaced by chance.
func extend(basis, block [][]float64, r *rand.Rand) [][]float64 {
	all := append([][]float64(nil), basis...)
	for _, b := range block {
		v := append([]float64(nil), b...)
		for {
			before := norm(v)
			for range 2 { // once more, for what rounding left
				for _, q := range all {
					add(v, -dot(v, q), q)
				}
			}
			if after := norm(v); after > 1e-10*before && before > 0 {
				scale(v, 1/after)
				break
			}
			v = random(r, len(v))
		}
		all = append(all, v)
	}
	return all[len(basis):]
}

// products is basis x image, a symmetric matrix.
func products(basis, image [][]float64) []float64 {
	n := len(basis)
	out := make([]float64, n*n)
	for i := range n {
		for j := range i + 1 {
			v := dot(basis[j], image[i])
			out[i*n+j], out[j*n+i] = v, v
		}
	}
	return out
}

// combine is the first k rows of vectors [n,n] times the rows [n,d].
func combine(vectors []float64, rows [][]float64, k int) []float64 {
	n, d := len(rows), len(rows[0])
	out := make([]float64, k*d)
	for i := range k {
		for j, row := range rows {
			add(out[i*d:(i+1)*d], vectors[i*n+j], row)
		}
	}
	return out
}

// residual is the largest norm of image - value x axis.
func residual(axes, image, values []float64) float64 {
	most, d := 0.0, len(axes)/len(values)
	for i, v := range values {
		row := image[i*d : (i+1)*d]
		add(row, -v, axes[i*d:(i+1)*d])
		most = max(most, norm(row))
	}
	return most
}

func dot(a, b []float64) float64 {
	var s [4]float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += a[i] * b[i]
		s[1] += a[i+1] * b[i+1]
		s[2] += a[i+2] * b[i+2]
		s[3] += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s[0] += a[i] * b[i]
	}
	return s[0] + s[1] + (s[2] + s[3])
}

// add adds f times v to dst.
func add(dst []float64, f float64, v []float64) {
	v = v[:len(dst)]
	for i := range dst {
		dst[i] += f * v[i]
	}
}

func scale(v []float64, f float64) {
	for i := range v {
		v[i] *= f
	}
}

func norm(v []float64) float64 { return math.Sqrt(dot(v, v)) }
