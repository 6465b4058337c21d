package probe

import "context"

// Model is a fitted classifier: *Head or *Neighbours.
type Model interface {
	// Scores sets dst [len(rows),K] to a score for each class, the higher the
	// more likely. Of equal scores the lower class is the prediction.
	Scores(ctx context.Context, dst []float32, s *Set, rows []int) error
}

// Head is a linear classifier of features as they are: logits = W x + b.
type Head struct {
	W    []float32 // [K,D], row-major
	B    []float32 // [K]
	K, D int
}

// Scores are logits.
func (h *Head) Scores(ctx context.Context, dst []float32, s *Set, rows []int) error { return nil }

// Neighbours is the classifier that asks its K nearest training rows.
type Neighbours struct {
	K      int
	Metric string // "cosine" or "l2"
}

// Scores are shares of the neighbours.
func (n *Neighbours) Scores(ctx context.Context, dst []float32, s *Set, rows []int) error {
	return nil
}

// Predict is the class of the highest score in each row of scores [n,k].
func Predict(scores []float32, k int) []int { return nil }
