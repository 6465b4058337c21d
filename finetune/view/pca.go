package view

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// Components is the result of a principal component analysis, for N rows of D
// features and K components.
type Components struct {
	Mean      []float64 // [D]
	Axes      []float64 // [K,D]: orthonormal rows, in order of decreasing variance
	Variance  []float64 // [K]: variance along each axis, with divisor N-1
	Ratio     []float64 // [K]: Variance as a share of the total variance; 0 if that is 0
	Projected []float64 // [N,K]: coordinates of the centred rows along the axes
}

// PCA finds the first k principal components of x [n,d]. k is at most d, and n at
// least 2. Signs are chosen so that the entry of largest magnitude of each axis is
// positive, as in scikit-learn. It returns early with the context's error.
//
// The method is a block Krylov iteration with full reorthogonalisation (Golub and
// Van Loan 2013, section 10.3). It ends when the residuals are below 1e-11 of the
// largest variance, or when the Krylov space has 600 dimensions; only variances
// that are almost equal need so many.
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

// orient flips v, if need be, so that its entry of largest magnitude is positive.
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

// center computes the means of the features, and the total sum of squares about
// them.
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

// chunks is the number of parts in which rows are processed. It is fixed, so that
// sums do not depend on the number of cores.
const chunks = 16

// rows calls do for every centred row: chunks run at the same time, the rows of a
// chunk in order.
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

// scatter multiplies the scatter matrix with each row of q [b,d].
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
	tolerance     = 1e-11 // of the residual of an axis, relative to the largest eigenvalue
	maxDimensions = 600   // of the Krylov space
)

// axes returns the first k eigenvectors [k,d] of the scatter matrix and their
// eigenvalues.
func (p *pca) axes(ctx context.Context) (axes, values []float64, err error) {
	var basis, image [][]float64 // orthonormal rows, and their products with the scatter matrix
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
		all := len(basis) == p.d || len(basis) > max(maxDimensions, p.k)
		if len(basis) >= max(look, p.k) || all {
			look = len(basis) * 5 / 4
			var vectors []float64
			values, vectors = eigen(products(basis, image), len(basis))
			values = values[:p.k]
			axes = combine(vectors, basis, p.k)
			if all || residual(axes, combine(vectors, image, p.k), values) <= tolerance*values[0] {
				return axes, values, nil
			}
		}
		block = fresh[:min(len(fresh), p.d-len(basis))]
	}
}

// random draws a vector from the standard normal distribution.
func random(r *rand.Rand, d int) []float64 {
	v := make([]float64, d)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

// extend makes the vectors of a block orthonormal to the basis and to each other.
// A vector that already lies in their span is replaced by a random one.
func extend(basis, block [][]float64, r *rand.Rand) [][]float64 {
	all := append([][]float64(nil), basis...)
	for _, b := range block {
		v := append([]float64(nil), b...)
		for {
			before := norm(v)
			for range 2 { // twice, because rounding errors spoil the first result
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

// products returns the inner products of basis and image, a symmetric matrix.
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

// combine multiplies the first k rows of vectors [n,n] with rows [n,d].
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

// residual is the largest norm of image - value * axis over the axes. It
// overwrites image.
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
