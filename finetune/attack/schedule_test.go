package attack

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCheckpoints are those of the paper for 100 steps: at 22, 41, 57, 70, 80, 87, 93, 99.
func TestCheckpoints(t *testing.T) {
	c := checkpoints{every: 22, least: 6, shrink: 3, reduced: true}
	var at []int
	for i := range 100 {
		if c.step(true, float64(i)) {
			t.Errorf("halved after step %d, though every step increased the loss", i+1)
		} else if c.steps == 0 {
			at = append(at, i+1)
		}
	}
	want := []int{22, 41, 57, 70, 80, 87, 93, 99}
	for i, w := range want {
		if len(at) != len(want) || at[i] != w {
			t.Fatalf("checkpoints at %v, want %v", at, want)
		}
	}
	// Condition 1: three quarters of increases are too few, one more is enough.
	for _, k := range []int{15, 16} {
		c := checkpoints{every: 20, least: 6, shrink: 3, reduced: true}
		halved := false
		for i := range 20 {
			halved = c.step(i < k, float64(i))
		}
		if halved != (k == 15) {
			t.Errorf("%d increases of 20: halved %v", k, halved)
		}
	}
	// Condition 2: without a better loss the step is halved, but not twice in a row for that.
	c = checkpoints{every: 1, least: 1, best: 5}
	for i, want := range []bool{true, false, true} {
		if got := c.step(true, 5); got != want {
			t.Errorf("check %d: halved %v, want %v", i, got, want)
		}
	}
}

// TestSquareShare: 0.8, halved at the paper's queries.
func TestSquareShare(t *testing.T) {
	for query, want := range map[int]float64{0: .8, 10: .8, 11: .4, 50: .4, 51: .2, 201: .1, 501: .05, 1001: .025, 2001: .0125, 4001: .00625, 4999: .00625} {
		if got := squareShare(query, 5000); math.Abs(got-want) > 1e-12 {
			t.Errorf("query %d: %v, want %v", query, got, want)
		}
	}
	if a, b := squareShare(100, 500), squareShare(1000, 5000); a != b {
		t.Errorf("%v and %v", a, b)
	}
}

// TestPattern: patterns have the norm 1, and two halves of opposite sign.
func TestPattern(t *testing.T) {
	c := canvas{Rand: rand.New(rand.NewPCG(1, 2))}
	for side := 1; side < 12; side++ {
		p := c.pattern(side)
		if n := norm(p); math.Abs(n-1) > 1e-12 {
			t.Errorf("side %d: norm %v", side, n)
		}
		positive := 0
		for _, v := range p {
			if v > 0 {
				positive++
			}
		}
		if want := side / 2 * side; positive != want {
			t.Errorf("side %d: %d positive values, want %d", side, positive, want)
		}
	}
}
