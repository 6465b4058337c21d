package view

import (
	"cmp"
	"math"
	"slices"
)

// eigen returns the eigenvalues of a symmetric matrix [n,n], the largest first, and
// its eigenvectors as rows, by cyclic Jacobi rotations (Golub and Van Loan 2013,
// section 8.5). It overwrites the matrix.
func eigen(a []float64, n int) (values, vectors []float64) {
	v := make([]float64, n*n)
	for i := range n {
		v[i*n+i] = 1
	}
	for off, all := norms(a, n); off > 1e-15*all; {
		for p := range n {
			for q := p + 1; q < n; q++ {
				rotate(a, v, n, p, q)
			}
		}
		before := off
		if off, all = norms(a, n); off >= before {
			break // only rounding errors are left
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(a[j*n+j], a[i*n+i]) })
	for _, i := range order {
		values = append(values, a[i*n+i])
		vectors = append(vectors, v[i*n:(i+1)*n]...)
	}
	return values, vectors
}

// norms returns the Frobenius norm of the entries off the diagonal, and of all.
func norms(a []float64, n int) (off, all float64) {
	for i, x := range a {
		all += x * x
		if i/n != i%n {
			off += x * x
		}
	}
	return math.Sqrt(off), math.Sqrt(all)
}

// rotate makes a[p,q] zero by a rotation, which it also applies to v.
func rotate(a, v []float64, n, p, q int) {
	if a[p*n+q] == 0 {
		return
	}
	theta := (a[q*n+q] - a[p*n+p]) / (2 * a[p*n+q])
	t := math.Copysign(1, theta) / (math.Abs(theta) + math.Sqrt(theta*theta+1))
	c := 1 / math.Sqrt(t*t+1)
	s := t * c
	for i := range n { // columns
		x, y := a[i*n+p], a[i*n+q]
		a[i*n+p], a[i*n+q] = c*x-s*y, s*x+c*y
	}
	turn(a[p*n:(p+1)*n], a[q*n:(q+1)*n], c, s)
	turn(v[p*n:(p+1)*n], v[q*n:(q+1)*n], c, s)
}

// turn rotates two rows by an angle of cosine c and sine s.
func turn(x, y []float64, c, s float64) {
	for i := range x {
		x[i], y[i] = c*x[i]-s*y[i], s*x[i]+c*y[i]
	}
}
