package probe

import (
	"context"
	"fmt"
	"math"
)

// blockRows is the number of rows in a matrix product: a block stays in the cache
// between the two products of a pass. Sums over blocks are float64.
const blockRows = 1024

// training holds what fits to the same training rows share: their standardisation
// and buffers.
type training struct {
	*Set
	weights []float64 // [N], weights of the rows, 0 for rows that are not trained on
	sum     float64   // of the weights
	rows    int       // number of training rows
	classes []int     // classes with training rows
	label   []int     // [N], index into classes
	mean    []float64 // [D]
	inverse []float64 // [D], 1 / standard deviation, 0 for constant features
	varying int       // number of features that are not constant

	head     []float32 // [k,D], weights for original features
	shift    []float64 // [k], biases for original features
	logits   []float32 // [blockRows,k]
	gradient []float32 // [k,D]
	losses   [blockRows]float64
	spread   []float64 // [k], for each class the sum of weight·p(1-p) in the last pass
}

func newTraining(ctx context.Context, s *Set, rows []int, balanced bool) (*training, error) {
	rows, err := s.rows(rows)
	if err != nil {
		return nil, err
	}
	t := &training{Set: s, weights: make([]float64, s.N), label: make([]int, s.N), rows: len(rows)}
	if len(s.Classes) > len(rows) {
		return nil, fmt.Errorf("probe: %d classes, more than the %d training rows: %w", len(s.Classes), len(rows), ErrData)
	}
	t.weigh(rows, balanced)
	if len(t.classes) < 2 {
		return nil, fmt.Errorf("probe: all %d training rows are of class %q, expected two classes at least: %w", len(rows), s.Classes[t.classes[0]], ErrData)
	}
	if err := t.standardise(ctx); err != nil {
		return nil, err
	}
	if t.varying == 0 {
		return nil, fmt.Errorf("probe: all %d features are constant over the %d training rows: %w", t.D, len(rows), ErrData)
	}
	return t, nil
}

// weigh sets the weights of the training rows, and their labels as numbers among
// the classes that have training rows.
func (t *training) weigh(rows []int, balanced bool) {
	count, at := make([]int, len(t.Classes)), make([]int, len(t.Classes))
	for _, i := range rows {
		count[t.Y[i]]++
	}
	for c, n := range count {
		if n > 0 {
			at[c] = len(t.classes)
			t.classes = append(t.classes, c)
		}
	}
	for _, i := range rows {
		w := 1.0
		if balanced {
			w = float64(len(rows)) / float64(len(t.classes)*count[t.Y[i]])
		}
		t.label[i] = at[t.Y[i]]
		t.weights[i] += w
		t.sum += w
	}
}

// standardise finds the mean and the standard deviation of each feature over the
// training rows, unweighted. A feature whose deviation is no larger than the rounding
// errors of a constant is taken for one: it is standardised to 0.
func (t *training) standardise(ctx context.Context) error {
	t.mean, t.inverse = make([]float64, t.D), make([]float64, t.D)
	if err := t.moments(ctx, t.mean, func(_ int, x float64) float64 { return x }); err != nil {
		return err
	}
	err := t.moments(ctx, t.inverse, func(j int, x float64) float64 { return (x - t.mean[j]) * (x - t.mean[j]) })
	for j, v := range t.inverse {
		least := float64(t.rows)*0x1p-52*v + math.Pow(float64(t.rows)*t.mean[j]*0x1p-52, 2)
		t.inverse[j] = 0
		if v > least {
			t.inverse[j] = 1 / math.Sqrt(v)
			t.varying++
		}
	}
	return err
}

// moments sets dst to the mean over the training rows of f of each feature.
func (t *training) moments(ctx context.Context, dst []float64, f func(column int, x float64) float64) error {
	parallel(t.D, 512, func(_, from, to int) {
		for i := range t.N {
			if t.weights[i] == 0 || ctx.Err() != nil {
				continue
			}
			row := t.X[i*t.D : (i+1)*t.D]
			for j := from; j < to; j++ {
				dst[j] += f(j, float64(row[j])) / float64(t.rows)
			}
		}
	})
	return context.Cause(ctx)
}

// fold sets head and shift to the weights and biases for features as they are that
// equal v [k,D] and b [k] for standardised features.
func (t *training) fold(v, b []float64) {
	k := len(b)
	if len(t.shift) != k {
		t.head, t.gradient = make([]float32, k*t.D), make([]float32, k*t.D)
		t.logits, t.shift = make([]float32, blockRows*k), make([]float64, k)
		t.spread = make([]float64, k)
	}
	parallel(k, 8, func(_, from, to int) {
		for c := from; c < to; c++ {
			t.shift[c] = b[c]
			for j := range t.D {
				w := v[c*t.D+j] * t.inverse[j]
				t.head[c*t.D+j] = float32(w)
				t.shift[c] -= float64(t.head[c*t.D+j]) * t.mean[j]
			}
		}
	})
}

// pass goes once over the training rows. residual is given the products z [k] of a
// row's features with the weights v [k,D], and with shift what the biases b [k] are
// then; it replaces z by a gradient r and returns the row's loss. pass sets dv [k,D]
// to the sum of r times the standardised features and db [k] to the sum of r, and
// returns the sum of the losses.
func (t *training) pass(ctx context.Context, dv, db, v, b []float64, residual func(row int, z []float32, shift []float64) float64) (float64, error) {
	k := len(b)
	t.fold(v, b)
	clear(dv)
	clear(db)
	clear(t.spread)
	total := 0.0
	for from := 0; from < t.N; from += blockRows {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		n := min(blockRows, t.N-from)
		x, z := t.X[from*t.D:(from+n)*t.D], t.logits[:n*k]
		if !t.any(from, n) {
			continue
		}
		if err := t.products.Forward(z, x, t.head, t.D); err != nil {
			return 0, err
		}
		parallel(n, 64, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				t.losses[i] = 0
				if row := z[i*k : (i+1)*k]; t.weights[from+i] != 0 {
					t.losses[i] = residual(from+i, row, t.shift)
				} else {
					clear(row)
				}
			}
		})
		if err := t.products.Backward(t.gradient, z, x, t.D); err != nil {
			return 0, err
		}
		for i := range n {
			total += t.losses[i]
			if t.weights[from+i] == 0 {
				continue
			}
			for c, r := range z[i*k : (i+1)*k] {
				db[c] += float64(r)
				p := math.Abs(float64(r)) // weight·p, or weight·(1-p) for the true class
				t.spread[c] += p * (1 - p/t.weights[from+i])
			}
		}
		parallel(k*t.D, 1<<14, func(_, lo, hi int) {
			for j := lo; j < hi; j++ {
				dv[j] += float64(t.gradient[j])
			}
		})
	}
	for c := range k {
		for j := range t.D {
			dv[c*t.D+j] = (dv[c*t.D+j] - db[c]*t.mean[j]) * t.inverse[j]
		}
	}
	return total, nil
}

// any reports whether any of n rows is a training row.
func (t *training) any(from, n int) bool {
	for _, w := range t.weights[from : from+n] {
		if w != 0 {
			return true
		}
	}
	return false
}
