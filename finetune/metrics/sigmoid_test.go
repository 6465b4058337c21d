package metrics_test

import (
	"math"
	"testing"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// TestTopIndependent compares with the sigmoid's values (Python: 1/(1+math.exp(-x))).
func TestTopIndependent(t *testing.T) {
	got, err := metrics.TopIndependent([]float32{-2, 3, 0, 3, float32(math.Inf(-1))}, 5)
	if err != nil {
		t.Fatal(err)
	}
	want := []metrics.Ranked{{Class: 1, Probability: 0.9525741268224334}, {Class: 3, Probability: 0.9525741268224334}, {Class: 2, Probability: 0.5}, {Class: 0, Probability: 0.11920292202211755}, {Class: 4}}
	for i, w := range want {
		if g := got[i]; g.Class != w.Class || math.Abs(g.Probability-w.Probability) > 1e-15 {
			t.Errorf("place %d: %+v, want %+v", i, g, w)
		}
	}
	if first, err := metrics.TopIndependent([]float32{1, 2}, 1); err != nil || len(first) != 1 || first[0].Class != 1 {
		t.Errorf("%v %v", first, err)
	}
	for _, k := range []int{0, 3} {
		if _, err := metrics.TopIndependent([]float32{1, 2}, k); err == nil {
			t.Errorf("the first %d of 2 classes", k)
		}
	}
	if _, err := metrics.TopIndependent([]float32{float32(math.NaN())}, 1); err == nil {
		t.Error("NaN was ranked")
	}
}

func TestTopOfTwo(t *testing.T) {
	for _, c := range []struct {
		logit     float32
		threshold float64
		first     int
		p         float64 // of the class that is predicted
	}{
		{0, 0.5, 1, 0.5}, {-1e-3, 0.5, 0, 0.5002499999791666}, {-1, 0.5, 0, 0.7310585786300049}, {-1, 0.25, 1, 0.2689414213699951},
		{2, 0.9, 0, 0.11920292202211755}, {-800, 0.5, 0, 1}, {float32(math.Inf(1)), 0.5, 1, 1},
	} {
		got, err := metrics.TopOfTwo(c.logit, c.threshold)
		if err != nil || len(got) != 2 || got[0].Class != c.first || math.Abs(got[0].Probability-c.p) > 1e-8 || math.Abs(got[0].Probability+got[1].Probability-1) > 1e-15 {
			t.Errorf("%g from %g on: %+v %v, want class %d with %g", c.logit, c.threshold, got, err, c.first, c.p)
		}
	}
	if _, err := metrics.TopOfTwo(float32(math.NaN()), 0.5); err == nil {
		t.Error("NaN was ranked")
	}
}
