package view

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Neighbour is a row and the cosine between it and another one.
type Neighbour struct {
	Row    int
	Cosine float64
}

// Neighbours finds the k rows of x [n,d] that are nearest to one of them by
// cosine, the nearest first, without the row itself; of equal ones the first.
// There are fewer where x has fewer. The cosine of a row of zeros is 0.
// Features that are not finite are an error.
func Neighbours(x []float32, n, d, row, k int) ([]Neighbour, error) {
	if d < 1 || len(x) != n*d || row < 0 || row >= n || k < 1 {
		return nil, fmt.Errorf("view: %d neighbours of row %d of %d features [%d,%d]", k, row, len(x), n, d)
	}
	query := x[row*d : (row+1)*d]
	own := math.Sqrt(product(query, query))
	found := make([]Neighbour, 0, n)
	for i := range n {
		other := x[i*d : (i+1)*d]
		c := product(query, other)
		if norms := own * math.Sqrt(product(other, other)); norms > 0 {
			c /= norms
		}
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return nil, fmt.Errorf("view: row %d or row %d has a feature that is not finite", row, i)
		}
		if i != row {
			found = append(found, Neighbour{i, c})
		}
	}
	slices.SortStableFunc(found, func(a, b Neighbour) int { return cmp.Compare(b.Cosine, a.Cosine) })
	return found[:min(k, len(found))], nil
}

// product is the inner product, in float64.
func product(a, b []float32) float64 {
	s := 0.0
	for i, x := range a {
		s += float64(x) * float64(b[i])
	}
	return s
}
