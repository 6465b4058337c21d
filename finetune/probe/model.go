package probe

import (
	"context"
	"fmt"
)

// Model is a fitted classifier: *Head or *Neighbours.
type Model interface {
	// Scores sets dst [len(rows),K] to the score of each class; higher is more likely.
	// Of equal scores, the class with the lower number is predicted.
	Scores(ctx context.Context, dst []float32, s *Set, rows []int) error
}

// Head is a linear classifier of original, not standardised, features:
// logits = W x + b.
type Head struct {
	W    []float32 // [K,D], row-major
	B    []float32 // [K]
	K, D int
}

// untrainedLogit is the logit of a class without training rows: below all others,
// and finite, so that every tool can read it.
const untrainedLogit = -1e30

// newHead makes a head of all classes from the weights and biases of those that
// have training rows; the others get the bias others.
func newHead(t *training, w []float32, b []float64, others float32) *Head {
	h := &Head{K: len(t.Classes), D: t.D}
	h.W, h.B = make([]float32, h.K*h.D), make([]float32, h.K)
	for c := range h.B {
		h.B[c] = others
	}
	for i, c := range t.classes {
		copy(h.W[c*h.D:(c+1)*h.D], w[i*h.D:(i+1)*h.D])
		h.B[c] = float32(b[i])
	}
	return h
}

// Scores are logits.
func (h *Head) Scores(ctx context.Context, dst []float32, s *Set, rows []int) error {
	if err := s.checkScores(h.D, h.K, len(dst), rows); err != nil {
		return err
	}
	var buffer []float32
	for from := 0; from < len(rows); from += blockRows {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		some := rows[from:min(len(rows), from+blockRows)]
		z := dst[from*h.K : (from+len(some))*h.K]
		if err := s.products.Forward(z, s.gather(&buffer, some), h.W, h.D); err != nil {
			return err
		}
		for i := range z {
			z[i] += h.B[i%h.K]
		}
	}
	return nil
}

// checkScores checks the arguments of Scores.
func (s *Set) checkScores(d, k, floats int, rows []int) error {
	if s.D != d {
		return fmt.Errorf("probe: rows of %d features, expected %d: %w", s.D, d, ErrData)
	}
	if floats != len(rows)*k {
		return fmt.Errorf("probe: %d scores for %d rows and %d classes", floats, len(rows), k)
	}
	for _, i := range rows {
		if i < 0 || i >= s.N {
			return fmt.Errorf("probe: row %d of %d", i, s.N)
		}
	}
	return nil
}

// gather returns the features of rows: a part of X where they follow each other,
// else a copy in buffer.
func (s *Set) gather(buffer *[]float32, rows []int) []float32 {
	first, together := rows[0], true
	for i, row := range rows {
		together = together && row == first+i
	}
	if together {
		return s.X[first*s.D : (first+len(rows))*s.D]
	}
	x := (*buffer)[:0]
	for _, i := range rows {
		x = append(x, s.X[i*s.D:(i+1)*s.D]...)
	}
	*buffer = x
	return x
}

// Predict returns the class with the highest score in each row of scores [n,k].
func Predict(scores []float32, k int) []int {
	classes := make([]int, len(scores)/k)
	for i := range classes {
		row := scores[i*k : (i+1)*k]
		for c, z := range row {
			if z > row[classes[i]] {
				classes[i] = c
			}
		}
	}
	return classes
}
