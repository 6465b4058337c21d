package metrics

import (
	"fmt"
	"math"
	"slices"
)

// sigmoid is 1 / (1 + exp(-x)), exact also where exp(-x) is very large or small.
func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// TopIndependent is [Top] for classes that do not exclude each other: the
// probability of each is the sigmoid of its logit, and they do not add up to 1. A
// logit of NaN is an error.
func TopIndependent(logits []float32, k int) ([]Ranked, error) {
	if k < 1 || k > len(logits) {
		return nil, fmt.Errorf("metrics: the first %d of %d classes", k, len(logits))
	}
	all := make([]Ranked, len(logits))
	for c, x := range logits {
		if x != x {
			return nil, fmt.Errorf("metrics: logit %d is NaN", c)
		}
		all[c] = Ranked{c, sigmoid(float64(x))}
	}
	slices.SortStableFunc(all, func(a, b Ranked) int {
		switch x, y := logits[a.Class], logits[b.Class]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return all[:k], nil
}

// TopOfTwo ranks two classes by one logit, whose sigmoid is the probability of
// class 1. That class comes first where its probability is the threshold or more. A
// logit of NaN is an error.
func TopOfTwo(logit float32, threshold float64) ([]Ranked, error) {
	if logit != logit {
		return nil, fmt.Errorf("metrics: the logit is NaN")
	}
	x := float64(logit)
	zero, one := Ranked{0, sigmoid(-x)}, Ranked{1, sigmoid(x)}
	if one.Probability >= threshold {
		return []Ranked{one, zero}, nil
	}
	return []Ranked{zero, one}, nil
}

// Distribution tells whether the values of a row are probabilities of classes that
// exclude each other: all between 0 and 1, with a sum within 1e-3 of 1.
func Distribution(row []float32) bool {
	sum := 0.0
	for _, x := range row {
		sum += float64(x)
	}
	return Shares(row) && math.Abs(sum-1) <= 1e-3
}

// Shares tells whether all values of a row are between 0 and 1, as probabilities are.
func Shares(row []float32) bool {
	for _, x := range row {
		if !(x >= 0 && x <= 1) {
			return false
		}
	}
	return true
}
