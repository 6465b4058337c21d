package metrics

import (
	"math"
	"slices"
	"testing"
)

// TestRank ranks classifiers given in no order, and puts them into the one of
// their accuracies before they are tested.
func TestRank(t *testing.T) {
	const n = 200
	upTo := func(right int) []bool { // those of a better one contain those of a worse one
		out := make([]bool, n)
		for i := range right {
			out[i] = true
		}
		return out
	}
	counts := []int{100, 180, 178, 100, 140}
	var top1 []float64
	var right [][]bool
	for _, c := range counts {
		top1, right = append(top1, float64(c)/n), append(right, upTo(c))
	}
	r, err := Rank(top1, right, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Order, []int{1, 2, 4, 0, 3}) || !slices.Equal(r.Ranks, []int{1, 1, 3, 4, 4}) {
		t.Errorf("order %v, ranks %v", r.Order, r.Ranks)
	}
	if len(r.Pairs) != 10 || !math.IsNaN(r.P[0]) {
		t.Errorf("%d pairs, p of the best %v", len(r.Pairs), r.P[0])
	}
	for _, pair := range r.Pairs {
		a, b := counts[r.Order[pair.A]], counts[r.Order[pair.B]]
		if pair.OnlyA != a-b || pair.OnlyB != 0 {
			t.Errorf("places %d and %d: %d and %d are right in one only, of %d and %d", pair.A, pair.B, pair.OnlyA, pair.OnlyB, a, b)
		}
		if pair.A == 0 && r.P[pair.B] != pair.Holm {
			t.Errorf("place %d: p %v, its pair has %v", pair.B, r.P[pair.B], pair.Holm)
		}
	}
	for _, wrong := range [][][]bool{right[:4], {upTo(1)[:5], upTo(1), upTo(1), upTo(1), upTo(1)}} {
		if _, err := Rank(top1, wrong, 0.05); err == nil {
			t.Errorf("%d classifiers of %d samples were ranked", len(wrong), len(wrong[0]))
		}
	}
	if _, err := Rank(nil, nil, 0.05); err == nil {
		t.Error("no classifiers were ranked")
	}
}

// TestMajority lets the first run decide where the others are divided.
func TestMajority(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		runs [][]bool
		want []bool
	}{
		{[][]bool{{yes, no}}, []bool{yes, no}},
		{[][]bool{{yes, no, yes}, {yes, yes, no}, {no, no, no}}, []bool{yes, no, no}},
		{[][]bool{{yes, no, yes, no}, {no, yes, yes, no}}, []bool{yes, no, yes, no}},
		{[][]bool{{yes, no, yes, no, no}, {yes, no, no, yes, no}, {yes, no, no, yes, no}, {no, yes, yes, no, no}}, []bool{yes, no, yes, no, no}},
	} {
		if got := Majority(c.runs); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.runs, got, c.want)
		}
	}
}
