package metrics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
)

// TestGolden compares with scikit-learn and numpy (testdata/golden.py).
func TestGolden(t *testing.T) {
	var cases []struct {
		Name                  string
		Classes, Bins         int
		Labels, N, Confusion  []int
		Logits                [][]float32
		Top1, Top3, ECE       float64
		MeanPerClass          float64 `json:"mean_per_class"`
		Precision, Recall, F1 []float64
	}
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) != 3 {
		t.Fatal(len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			s := New(c.Classes, Config{TopK: 3, Bins: c.Bins})
			for i, row := range c.Logits {
				if err := s.Add(row, c.Labels[i]); err != nil {
					t.Fatal(err)
				}
			}
			near := func(what string, got, want float64) {
				t.Helper()
				if !(math.Abs(got-want) < 1e-12) {
					t.Errorf("%s is %v, want %v", what, got, want)
				}
			}
			mean, absent := s.MeanPerClass()
			near("top-1", s.Top1(), c.Top1)
			near("top-3", s.TopK(), c.Top3)
			near("mean per-class", mean, c.MeanPerClass)
			near("ECE", s.ECE(), c.ECE)
			for i, class := range s.PerClass() {
				if class.N != c.N[i] {
					t.Errorf("class %d has %d samples, want %d", i, class.N, c.N[i])
				}
				if class.N == 0 {
					absent--
					if !math.IsNaN(class.Accuracy) {
						t.Errorf("class %d has no samples and accuracy %v", i, class.Accuracy)
					}
					continue
				}
				near("recall", class.Accuracy, c.Recall[i])
				near("F1", class.F1, c.F1[i])
				if class.Predicted > 0 {
					near("precision", class.Precision, c.Precision[i])
				}
			}
			if absent != 0 {
				t.Errorf("%d more classes absent than there are", absent)
			}
			if !slices.Equal(s.Confusion(), c.Confusion) {
				t.Errorf("confusion %v, want %v", s.Confusion(), c.Confusion)
			}
		})
	}
}

func TestTop(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		logits []float32
		k      int
		want   []int // nil: an error
	}{
		{"ranked", []float32{1, 3, 2, 0}, 3, []int{1, 2, 0}},
		{"ties to the lower index", []float32{1, 2, 2, 2, 1}, 4, []int{1, 2, 3, 0}},
		{"all equal", []float32{7, 7, 7}, 2, []int{0, 1}},
		{"large", []float32{3e38, -3e38, 2e38}, 3, []int{0, 2, 1}},
		{"an impossible class", []float32{-inf, 0}, 2, []int{1, 0}},
		{"one class", []float32{-5}, 1, []int{0}},
		{"NaN", []float32{0, nan}, 1, nil},
		{"NaN alone", []float32{nan}, 1, nil},
		{"+Inf", []float32{0, inf}, 1, nil},
		{"nothing possible", []float32{-inf, -inf}, 1, nil},
		{"more than there are", []float32{1, 2}, 3, nil},
		{"none", []float32{1, 2}, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			top, err := Top(c.logits, c.k)
			if (err != nil) != (c.want == nil) {
				t.Fatalf("error %v", err)
			}
			var got []int
			for _, r := range top {
				got = append(got, r.Class)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	top, err := Top([]float32{0, float32(math.Log(3))}, 2)
	if err != nil || math.Abs(top[0].Probability-0.75) > 1e-7 || math.Abs(top[1].Probability-0.25) > 1e-7 {
		t.Errorf("%v %v, want 3/4 and 1/4", top, err)
	}
}

// TestTopSorted compares Top with a stable sort of many rows full of ties.
func TestTopSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		logits := make([]float32, 1+r.IntN(12))
		order := make([]int, len(logits))
		for i := range logits {
			logits[i], order[i] = float32(r.IntN(5)), i
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(logits[b] - logits[a]) })
		k := 1 + r.IntN(len(logits))
		top, err := Top(logits, k)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range top {
			if x.Class != order[i] {
				t.Fatalf("%v: %v, want the order %v", logits, top, order)
			}
		}
	}
}

// TestTies counts samples whose logits are equal.
func TestTies(t *testing.T) {
	s := New(3, Config{TopK: 2})
	for label := range 3 {
		if err := s.Add([]float32{1, 1, 1}, label); err != nil {
			t.Fatal(err)
		}
	}
	if s.Top1() != 1.0/3 || s.TopK() != 2.0/3 || s.N() != 3 {
		t.Errorf("top-1 %v, top-2 %v of %d, want 1/3, 2/3 of 3", s.Top1(), s.TopK(), s.N())
	}
	if want := []int{1, 0, 0, 1, 0, 0, 1, 0, 0}; !slices.Equal(s.Confusion(), want) {
		t.Errorf("confusion %v, want %v", s.Confusion(), want)
	}
	// A confidence on the edge of two bins belongs to the lower one.
	bins := s.Reliability()
	if bins[4].N != 3 || bins[4].Accuracy != 1.0/3 || math.Abs(bins[4].High-1.0/3) > 1e-15 || !math.IsNaN(bins[5].Confidence) {
		t.Errorf("bins %+v", bins)
	}
}

func TestFewClasses(t *testing.T) {
	s := New(2, Config{})
	if s.K() != 2 {
		t.Errorf("top-%d of two classes", s.K())
	}
	mean, absent := s.MeanPerClass()
	if !math.IsNaN(s.Top1()) || !math.IsNaN(s.TopK()) || !math.IsNaN(mean) || absent != 2 || !math.IsNaN(s.ECE()) {
		t.Errorf("without samples: %v %v %v %d %v", s.Top1(), s.TopK(), mean, absent, s.ECE())
	}
	one := New(1, Config{})
	if err := one.Add([]float32{3}, 0); err != nil || one.Top1() != 1 || one.ECE() != 0 {
		t.Errorf("one class: %v, top-1 %v, ECE %v", err, one.Top1(), one.ECE())
	}
}

func TestRefuses(t *testing.T) {
	s := New(3, Config{})
	before := *s
	for name, err := range map[string]error{
		"too few logits": s.Add([]float32{1, 2}, 0), "class 3": s.Add([]float32{1, 2, 3}, 3), "class -1": s.Add([]float32{1, 2, 3}, -1),
		"NaN": s.Add([]float32{1, float32(math.NaN()), 3}, 0), "too few ranked": s.AddTop([]Ranked{{0, 1}}, 0), "none ranked": s.AddTop(nil, 0),
		"class of others": s.AddTop([]Ranked{{5, 1}, {1, 0}, {2, 0}}, 0),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if !reflect.DeepEqual(*s, before) {
		t.Error("what was refused was counted")
	}
}

// TestNoGrowth checks that counting a million samples allocates nothing.
func TestNoGrowth(t *testing.T) {
	s := New(4, Config{})
	top, err := Top([]float32{1, 2, 3, 4}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(1, func() {
		for range 1_000_000 {
			if err := s.AddTop(top, 3); err != nil {
				t.Fatal(err)
			}
		}
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}
