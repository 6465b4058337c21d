package probe_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/probe"
)

// TestTies: of rows equally far the first is nearer, of classes with as many
// neighbours the first is the answer.
func TestTies(t *testing.T) {
	d := probe.Data{N: 6, D: 2, Classes: names(3), Y: []int{2, 1, 0, 1, 2, -1},
		X: []float32{1, 0, 1, 0, 0, 1, 3, 3, 0, 0, 1, 0}}
	s := set(t, d)
	for _, c := range []struct {
		k         int
		metric    string
		row, want int
		shares    []float32
	}{
		{1, "l2", 5, 2, []float32{0, 0, 1}},
		{2, "l2", 5, 1, []float32{0, .5, .5}},
		{3, "l2", 5, 2, []float32{0, 1. / 3, 2. / 3}},
		{9, "l2", 5, 1, []float32{.2, .4, .4}}, // all there are
		{1, "cosine", 3, 1, []float32{0, 1, 0}},
		{3, "cosine", 3, 1, []float32{0, 2. / 3, 1. / 3}}, // rows 0, 1 and 2 are equally far
		{2, "cosine", 4, 1, []float32{0, .5, .5}},         // zeros: all are equally far
	} {
		m, _, err := probe.Fit(t.Context(), s, nil, probe.Setting{K: c.k, Metric: c.metric}, probe.Config{Solver: "knn"})
		if err != nil {
			t.Fatal(err)
		}
		scores := make([]float32, 3)
		if err := m.Scores(t.Context(), scores, s, []int{c.row}); err != nil {
			t.Fatal(err)
		}
		if got := probe.Predict(scores, 3)[0]; got != c.want || !slices.Equal(scores, c.shares) {
			t.Errorf("%d by %s of row %d: class %d of %v, expected %d of %v", c.k, c.metric, c.row, got, scores, c.want, c.shares)
		}
	}
}

// TestRounding has rows far from 0 and near each other, which float32 products
// cannot tell apart.
func TestRounding(t *testing.T) {
	const n, dim = 300, 16
	d := probe.Data{N: n, D: dim, X: make([]float32, n*dim), Y: make([]int, n), Classes: names(n)}
	for i, x := range draw(1, n*dim) {
		d.X[i] = 4096 + float32(x)/8 + float32(i%7)/64
	}
	for i := range d.Y {
		d.Y[i] = i
	}
	s := set(t, d)
	for _, metric := range []string{"l2", "cosine"} {
		m, _, err := probe.Fit(t.Context(), s, nil, probe.Setting{K: 3, Metric: metric}, probe.Config{Solver: "knn"})
		if err != nil {
			t.Fatal(err)
		}
		for q := range 50 {
			scores := make([]float32, n)
			if err := m.Scores(t.Context(), scores, s, []int{q}); err != nil {
				t.Fatal(err)
			}
			far := make([]float64, n)
			for i := range far {
				far[i] = distance(d.X[q*dim:(q+1)*dim], d.X[i*dim:(i+1)*dim], metric)
			}
			order := slices.Clone(d.Y)
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(far[a], far[b]) })
			for i, row := range order {
				if (scores[row] > 0) != (i < 3) && math.Abs(far[row]-far[order[2]]) > 1e-13 {
					t.Fatalf("%s: row %d is neighbour %d of row %d, its share is %v", metric, row, i, q, fmt.Sprint(scores[row]))
				}
			}
		}
	}
}

// distance is what the metrics are, in float64.
func distance(a, b []float32, metric string) float64 {
	var ab, aa, bb, sum float64
	for j := range a {
		x, y := float64(a[j]), float64(b[j])
		ab, aa, bb, sum = ab+x*y, aa+x*x, bb+y*y, sum+(x-y)*(x-y)
	}
	if metric == "cosine" {
		return 1 - ab/math.Sqrt(aa*bb)
	}
	return sum
}
