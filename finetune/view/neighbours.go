package view

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Neighbour is a row of features and its cosine similarity to the row asked about.
type Neighbour struct {
	Row    int
	Cosine float64
}

// Neighbours returns the k rows of x [n,d] that are most similar to a given row by
// cosine, the most similar first; of equally similar rows the earlier comes first.
// The row itself is not among them. If x has fewer other rows, all are returned. A
// row of zeros has cosine 0 with every other.
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

// product is the inner product, computed in float64.
func product(a, b []float32) float64 {
	s := 0.0
	for i, x := range a {
		s += float64(x) * float64(b[i])
	}
	return s
}
