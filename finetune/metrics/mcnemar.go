package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// PairTest is McNemar's test of two classifiers on the same samples.
type PairTest struct {
	A, B         int     // indices of the two classifiers, A < B
	OnlyA, OnlyB int     // samples that only A, or only B, has right
	Exact        bool    // P is that of the exact test
	P            float64 // two-sided p value of "both are right equally often"
	Holm         float64 // P corrected for the number of pairs
}

// exactBelow is the number of discordant samples below which the exact test is
// used (Dietterich 1998).
const exactBelow = 25

// PairwiseMcNemar tests every two of several classifiers: right[i][s] says whether
// classifier i has sample s right. The p values are corrected for the number of
// pairs (Holm 1979). The tests assume that samples are independent.
func PairwiseMcNemar(right [][]bool) ([]PairTest, error) {
	for i := range right {
		if len(right[i]) != len(right[0]) || len(right[i]) == 0 {
			return nil, fmt.Errorf("metrics: classifier %d has %d samples, expected %d, at least one", i, len(right[i]), len(right[0]))
		}
	}
	var pairs []PairTest
	var p []float64
	for a := range right {
		for b := a + 1; b < len(right); b++ {
			pair := PairTest{A: a, B: b}
			pair.OnlyA, pair.OnlyB = discordant(right[a], right[b])
			pair.P, pair.Exact = McNemar(pair.OnlyA, pair.OnlyB)
			pairs, p = append(pairs, pair), append(p, pair.P)
		}
	}
	for i, q := range Holm(p) {
		pairs[i].Holm = q
	}
	return pairs, nil
}

// discordant counts the samples that only one of two classifiers has right.
func discordant(a, b []bool) (onlyA, onlyB int) {
	for s := range a {
		switch {
		case a[s] && !b[s]:
			onlyA++
		case b[s] && !a[s]:
			onlyB++
		}
	}
	return onlyA, onlyB
}

// McNemar returns the two-sided p value of McNemar's test, for a samples that only
// one classifier has right and b samples that only the other has right. If they
// are fewer than 25 together it is exact, from the binomial distribution; otherwise
// it is from chi-square with one degree of freedom and Edwards' correction,
// (|a-b|-1)^2/(a+b). Without any such sample it is 1.
func McNemar(a, b int) (p float64, exact bool) {
	n, low := a+b, min(a, b)
	if n >= exactBelow {
		d := float64(max(n-2*low-1, 0)) // |a-b| - 1
		return math.Erfc(d / math.Sqrt(2*float64(n))), false
	}
	tail, ways := 0.0, 1.0 // of n choose k
	for k := 0; k <= low; k++ {
		tail += ways
		ways *= float64(n-k) / float64(k+1)
	}
	return min(1, 2*math.Ldexp(tail, -n)), true
}

// Holm corrects p values for their number by Holm's step-down procedure: the k-th
// smallest of m values is multiplied by m-k+1, then raised to its predecessor if
// that is larger, and capped at 1. The result is in the order of p.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	corrected, before := make([]float64, len(p)), 0.0
	for k, i := range order {
		before = min(1, max(before, p[i]*float64(len(p)-k)))
		corrected[i] = before
	}
	return corrected
}

// ranksOf returns the rank of each classifier: one more than the number of
// classifiers that are significantly better, with a higher accuracy and a
// Holm-corrected p value below alpha.
func ranksOf(top1 []float64, pairs []PairTest, alpha float64) []int {
	ranks := make([]int, len(top1))
	for i := range ranks {
		ranks[i] = 1
	}
	for _, p := range pairs {
		switch {
		case !(p.Holm < alpha):
		case top1[p.A] < top1[p.B]:
			ranks[p.A]++
		case top1[p.B] < top1[p.A]:
			ranks[p.B]++
		}
	}
	return ranks
}
