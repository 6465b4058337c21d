package probe

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
)

// Neighbours is the classifier of the K nearest training rows, or of all where
// there are fewer. Of rows at the same distance the first is the nearer. Features
// are taken as they are, not standardised, and the set that it was fitted on is read
// whenever it scores.
type Neighbours struct {
	K      int
	Metric string // "cosine" or "l2"; the cosine to a row of zeros is 0

	of      *training
	norms   []float64 // [N], squares of the training rows' lengths
	longest float64   // largest of norms
}

// queryRows is how many rows are compared with all training rows at a time.
const queryRows = 64

// nearest fits Neighbours: nothing is computed but the lengths of the rows.
type nearest struct{ *training }

func (f nearest) fit(ctx context.Context, at Setting, _ []float64) (Model, []float64, Report, error) {
	n := &Neighbours{K: at.K, Metric: at.Metric, of: f.training, norms: make([]float64, f.N)}
	parallel(f.N, blockRows, func(_, from, to int) {
		for i := from; i < to; i++ {
			if f.weights[i] != 0 {
				row := f.X[i*f.D : (i+1)*f.D]
				n.norms[i] = inner(row, row)
			}
		}
	})
	n.longest = slices.Max(n.norms)
	return n, nil, Report{Converged: true}, context.Cause(ctx)
}

// Scores are shares of the neighbours, each counted by its weight as a training
// row. Distances are computed by float32 products, and again in float64 where
// rounding could change which rows are the nearest.
func (n *Neighbours) Scores(ctx context.Context, dst []float32, s *Set, rows []int) error {
	if n.of == nil {
		return errors.New("probe: neighbours that were not fitted")
	}
	k := len(n.of.Classes)
	if err := s.checkScores(n.of.D, k, len(dst), rows); err != nil {
		return err
	}
	buffer, products := []float32{}, make([]float32, min(queryRows, len(rows))*n.of.N)
	for from := 0; from < len(rows); from += queryRows {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		some := rows[from:min(len(rows), from+queryRows)]
		x := s.gather(&buffer, some)
		if err := n.of.products.Forward(products[:len(some)*n.of.N], x, n.of.X, n.of.D); err != nil {
			return err
		}
		parallel(len(some), 4, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				n.vote(dst[(from+i)*k:(from+i+1)*k], x[i*n.of.D:(i+1)*n.of.D], products[i*n.of.N:(i+1)*n.of.N])
			}
		})
	}
	return nil
}

// candidate is a training row and its distance.
type candidate struct {
	row      int
	distance float64
}

func nearer(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.row, b.row))
}

// vote sets dst [k] to the shares of the classes among the neighbours of a query;
// products are those of the query with all rows, in float32.
func (n *Neighbours) vote(dst, query, products []float32) {
	own, all := inner(query, query), make([]candidate, 0, n.of.rows)
	for i, w := range n.of.weights {
		if w == 0 {
			continue
		}
		all = append(all, candidate{i, n.distance(own, n.norms[i], float64(products[i]))})
	}
	slack := math.Sqrt(float64(n.of.D)) * 0x1p-21 // the error of a distance by rounding
	if n.Metric == "l2" {
		slack *= math.Sqrt(own * n.longest)
	}
	k := min(n.K, len(all))
	limit := kth(all, k) + 2*slack
	near := all[:0]
	for _, c := range all {
		if c.distance <= limit {
			c.distance = n.exact(query, own, c.row)
			near = append(near, c)
		}
	}
	slices.SortFunc(near, nearer)
	sum := 0.0
	for _, c := range near[:k] {
		sum += n.of.weights[c.row]
	}
	clear(dst)
	for _, c := range near[:k] {
		dst[n.of.classes[n.of.label[c.row]]] += float32(n.of.weights[c.row] / sum)
	}
}

// distance is the squared Euclidean distance, or 1 - cosine.
func (n *Neighbours) distance(own, norm, product float64) float64 {
	if n.Metric == "l2" {
		return own + norm - 2*product
	}
	if own == 0 || norm == 0 {
		return 1
	}
	return 1 - product/math.Sqrt(own*norm)
}

// exact is the distance to a row, computed in float64; 0 for an equal row.
func (n *Neighbours) exact(query []float32, own float64, row int) float64 {
	x := n.of.X[row*n.of.D : (row+1)*n.of.D]
	if n.Metric != "l2" {
		return n.distance(own, n.norms[row], inner(query, x))
	}
	sum := 0.0
	for j, q := range query {
		sum += (float64(q) - float64(x[j])) * (float64(q) - float64(x[j]))
	}
	return sum
}

// kth is the distance of the k-th nearest candidate.
func kth(all []candidate, k int) float64 {
	heap := make([]float64, 0, k) // max-heap of the k smallest
	for _, c := range all {
		if len(heap) < k {
			heap = append(heap, c.distance)
			if len(heap) == k {
				slices.SortFunc(heap, func(a, b float64) int { return cmp.Compare(b, a) })
			}
			continue
		}
		if c.distance >= heap[0] {
			continue
		}
		at := 0
		for child := 1; child < k; child = 2*at + 1 {
			if child+1 < k && heap[child+1] > heap[child] {
				child++
			}
			if heap[child] <= c.distance {
				break
			}
			heap[at], at = heap[child], child
		}
		heap[at] = c.distance
	}
	return heap[0]
}

// inner is the inner product of two rows.
func inner(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}
