package metrics

import (
	"errors"
	"fmt"
	"math"
)

// Ranked is a class and its probability.
type Ranked struct {
	Class       int
	Probability float64
}

// Top returns the k most probable classes of one row of logits, the most probable
// first. Of equal logits the lower index comes first, as with argmax. The
// probabilities are the softmax over all logits, computed in float64. A logit of
// NaN or +Inf is an error. One of -Inf has probability 0; if all are, that is an
// error too.
func Top(logits []float32, k int) ([]Ranked, error) {
	if k < 1 || k > len(logits) {
		return nil, fmt.Errorf("metrics: the first %d of %d classes", k, len(logits))
	}
	top := make([]Ranked, 0, k)
	for c, x := range logits {
		if x != x || x > math.MaxFloat32 {
			return nil, fmt.Errorf("metrics: logit %d is %v", c, x)
		}
		if len(top) < k {
			top = append(top, Ranked{})
		} else if x <= logits[top[k-1].Class] {
			continue
		}
		at := len(top) - 1
		for ; at > 0 && logits[top[at-1].Class] < x; at-- {
			top[at] = top[at-1]
		}
		top[at].Class = c
	}
	best := float64(logits[top[0].Class])
	if math.IsInf(best, -1) {
		return nil, errors.New("metrics: all logits are -Inf")
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - best)
	}
	for i := range top {
		top[i].Probability = math.Exp(float64(logits[top[i].Class])-best) / sum
	}
	return top, nil
}
