package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Ranking is an order of classifiers of the same samples.
type Ranking struct {
	Order []int      // the classifiers, the most accurate first; of equally accurate ones the earlier
	Ranks []int      // by place in Order: one more than the number of classifiers that are significantly better
	P     []float64  // by place in Order: p value against the best one, Holm-corrected; NaN for the best itself
	Pairs []PairTest // of every two; A and B are places in Order
}

// Rank orders classifiers by accuracy and tests every two of them by McNemar's
// test on the samples that they have right: right[i][s] is true where the i-th has
// sample s right. A classifier is significantly better than another where it is
// more accurate and their Holm-corrected p value is below alpha.
//
// top1 may be means of several runs; right is then the [Majority] of the runs.
//
// Significance is not transitive. A classifier that errs on almost the same samples
// as the best one can differ from it significantly, and rank lower, where a less
// accurate one that errs on other samples does not; and a classifier that does not
// differ from the best one ranks lower where it differs from a better third.
func Rank(top1 []float64, right [][]bool, alpha float64) (*Ranking, error) {
	if len(top1) != len(right) || len(top1) == 0 {
		return nil, fmt.Errorf("metrics: a ranking of %d accuracies and %d classifiers", len(top1), len(right))
	}
	r := &Ranking{}
	for i := range top1 {
		r.Order = append(r.Order, i)
	}
	slices.SortStableFunc(r.Order, func(a, b int) int { return cmp.Compare(top1[b], top1[a]) })
	ordered, samples := make([]float64, len(top1)), make([][]bool, len(top1))
	for place, i := range r.Order {
		ordered[place], samples[place] = top1[i], right[i]
	}
	var err error
	if r.Pairs, err = PairwiseMcNemar(samples); err != nil {
		return nil, err
	}
	r.Ranks = ranksOf(ordered, r.Pairs, alpha)
	r.P = make([]float64, len(top1))
	r.P[0] = math.NaN()
	for _, pair := range r.Pairs {
		if pair.A == 0 {
			r.P[pair.B] = pair.Holm
		}
	}
	return r, nil
}

// Majority says of each sample whether most of several runs have it right:
// runs[i][s] is true where run i does. Where as many do as do not, the first run
// decides. All runs are of the same samples, one run at least.
func Majority(runs [][]bool) []bool {
	most := make([]bool, len(runs[0]))
	for s := range most {
		right := 0
		for _, run := range runs {
			if run[s] {
				right++
			}
		}
		most[s] = 2*right > len(runs) || 2*right == len(runs) && runs[0][s]
	}
	return most
}
