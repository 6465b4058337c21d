package metrics

import (
	"errors"
	"fmt"
	"math"
)

// Ranked is a class and how probable it is.
type Ranked struct {
	Class       int
	Probability float64
}

// Top ranks the k most probable classes of one row of logits, the most probable
// first. Of equal logits the lower index comes first, as with argmax. The
// probabilities are the softmax of all logits, in float64. NaN and +Inf are
// errors; -Inf is a class that cannot be, unless all are.
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
