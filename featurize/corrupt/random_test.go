package corrupt

import (
	"math"
	"testing"
)

// near fails where a value is not the one expected.
func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %v, want %v within %v", what, got, want, within)
	}
}

// TestFunctions compares with package math.
func TestFunctions(t *testing.T) {
	for x := -600.0; x < 600; x += 0.37 {
		near(t, "exp", exp(x)/math.Exp(x), 1, 5e-16)
		near(t, "log", log(math.Abs(x)), math.Log(math.Abs(x)), 4e-16*max(1, math.Abs(math.Log(math.Abs(x)))))
		sin, cos := sincos(x)
		near(t, "sin", sin, math.Sin(x*math.Pi/180), 3e-15)
		near(t, "cos", cos, math.Cos(x*math.Pi/180), 3e-15)
	}
	for p := 1e-4; p < 1; p += 0.0007 {
		near(t, "quantile", quantile(p), math.Sqrt2*math.Erfinv(2*p-1), 1e-12)
	}
	near(t, "the quantile of the largest that is drawn", quantile(1-1.0/(1<<53)), 8.2095, 1e-3)
}

// TestDistributions checks means and variances of what is drawn, within five standard
// errors.
func TestDistributions(t *testing.T) {
	r := newRandom(Corruption{Kind: ShotNoise, Severity: 1}, "x")
	const n = 200000
	check := func(what string, draw func() float64, mean, variance, fourth float64) {
		t.Helper()
		sum, squares := 0.0, 0.0
		for range n {
			v := draw() - mean
			sum, squares = sum+v, squares+v*v
		}
		near(t, what+": mean", sum/n, 0, 5*math.Sqrt(variance/n))
		near(t, what+": variance", squares/n, variance, 5*math.Sqrt((fourth-variance*variance)/n)+1e-12)
	}
	check("uniform", r.uniform, 0.5, 1.0/12, 1.0/80)
	check("normal", r.normal, 0, 1, 3)
	for _, mean := range []float64{0, 0.01, 0.7, 3, 25, 60, 500} {
		check("poisson", r.poisson(mean), mean, mean, mean*(1+3*mean))
	}
	counts := make([]int, 6)
	for range n {
		counts[r.below(6)]++
	}
	for i, c := range counts {
		near(t, "share of "+string(rune('0'+i)), float64(c)/n, 1.0/6, 5*math.Sqrt(5.0/36/n))
	}
}
