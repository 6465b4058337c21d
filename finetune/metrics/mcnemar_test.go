package metrics

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// spread is a Spread in the golden file.
type spread struct{ SD, Low, High float64 }

// goldens reads the results of scipy, statsmodels and numpy, made by
// testdata/golden_compare.py.
func goldens(t *testing.T) (g struct {
	McNemar []struct {
		A, B int
		P    float64
	}
	Holm  []struct{ P, Corrected []float64 }
	Lines []struct {
		X, Y                    []float64
		Slope, Intercept, R, R2 float64
	}
	Bootstraps []struct {
		Labels   []int
		Right    []float64
		Groups   []int
		Top1     spread
		PerClass spread `json:"per_class"`
	}
}) {
	t.Helper()
	data, err := os.ReadFile("testdata/golden_compare.json")
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil || len(g.McNemar) != 16 || len(g.Holm) != 6 || len(g.Lines) != 3 || len(g.Bootstraps) != 3 {
		t.Fatal(err)
	}
	return g
}

func TestMcNemar(t *testing.T) {
	for _, c := range goldens(t).McNemar {
		p, exact := McNemar(c.A, c.B)
		if math.Abs(p-c.P) > 1e-12*c.P+1e-15 || exact != (c.A+c.B < 25) {
			t.Errorf("%d and %d: p %v, exact %v, want %v", c.A, c.B, p, exact, c.P)
		}
	}
}

func TestHolm(t *testing.T) {
	for _, c := range goldens(t).Holm {
		got := Holm(c.P)
		for i := range got {
			if math.Abs(got[i]-c.Corrected[i]) > 1e-15 || len(got) != len(c.P) {
				t.Errorf("%v: %v, want %v", c.P, got, c.Corrected)
			}
		}
	}
}

func TestFitLine(t *testing.T) {
	for _, c := range goldens(t).Lines {
		l, err := FitLine(c.X, c.Y)
		if err != nil {
			t.Fatal(err)
		}
		for what, d := range map[string]float64{"slope": l.Slope - c.Slope, "intercept": l.Intercept - c.Intercept, "r": l.R - c.R, "R2": l.R2 - c.R2} {
			if !(math.Abs(d) < 1e-12) {
				t.Errorf("%d points: the %s is off by %v", l.N, what, d)
			}
		}
	}
	if l, err := FitLine([]float64{1, 2, 3}, []float64{.1, .1, .1}); err != nil || !math.IsNaN(l.R) || math.Abs(l.Slope) > 1e-15 || math.Abs(l.Intercept-.1) > 1e-15 {
		t.Errorf("level points: %+v, %v", l, err)
	}
	for name, c := range map[string][2][]float64{
		"one point": {{1}, {1}}, "lengths": {{1, 2}, {1, 2, 3}}, "one x": {{.1, .1, .1}, {1, 2, 3}},
		"NaN": {{1, 2, math.NaN()}, {1, 2, 3}}, "infinite": {{1, 2, 3}, {1, math.Inf(1), 3}},
	} {
		if l, err := FitLine(c[0], c[1]); err == nil {
			t.Errorf("%s: no error, %+v", name, l)
		}
	}
}

// TestBootstrap compares with 50,000 draws made by numpy. With 20,000 draws of ours
// the standard error is about 0.5 % for the standard deviation, and 2 % of that
// deviation for the percentiles. The test allows three and a half times as much and,
// for accuracies, one step more, which is one sample.
func TestBootstrap(t *testing.T) {
	for i, c := range goldens(t).Bootstraps {
		top1, perClass, err := Bootstrap(c.Labels, c.Right, BootstrapConfig{Seed: 7, Samples: 20_000, Groups: c.Groups})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			what      string
			got, want float64
			within    float64
		}{
			{"sd of accuracy", top1.SD, c.Top1.SD, 0.02 * c.Top1.SD}, {"sd of mean per-class", perClass.SD, c.PerClass.SD, 0.02 * c.PerClass.SD},
			{"low accuracy", top1.Low, c.Top1.Low, 0.07*c.Top1.SD + 1/float64(len(c.Labels))}, {"high accuracy", top1.High, c.Top1.High, 0.07*c.Top1.SD + 1/float64(len(c.Labels))},
			{"low mean per-class", perClass.Low, c.PerClass.Low, 0.07 * c.PerClass.SD}, {"high mean per-class", perClass.High, c.PerClass.High, 0.07 * c.PerClass.SD},
		} {
			if !(math.Abs(x.got-x.want) <= x.within) {
				t.Errorf("case %d: %s is %v, want %v within %.2g", i, x.what, x.got, x.want, x.within)
			}
		}
	}
}

// TestBootstrapDraws checks that the draws depend on the seed alone.
func TestBootstrapDraws(t *testing.T) {
	labels, a, b, difference := make([]int, 50), make([]float64, 50), make([]float64, 50), make([]float64, 50)
	for i := range labels {
		labels[i], a[i], b[i] = i%3, float64(i%2), float64(i%5)/4
		difference[i] = a[i] - b[i]
	}
	spreadOf := func(right []float64, seed uint64) Spread {
		s, _, err := Bootstrap(labels, right, BootstrapConfig{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if spreadOf(a, 1) != spreadOf(a, 1) || spreadOf(a, 1) == spreadOf(a, 2) {
		t.Error("the seed does not tell the draws")
	}
	// The spread of the difference gives the covariance of the samples.
	cov, ma, mb := 0.0, 0.0, 0.0
	for i := range a {
		ma, mb = ma+a[i]/50, mb+b[i]/50
	}
	for i := range a {
		cov += (a[i] - ma) * (b[i] - mb) / 50 / 50
	}
	sa, sb, sd := spreadOf(a, 1).SD, spreadOf(b, 1).SD, spreadOf(difference, 1).SD
	if got := (sa*sa + sb*sb - sd*sd) / 2; math.Abs(got-cov) > 0.15*sa*sb {
		t.Errorf("covariance %v, want %v", got, cov)
	}
	if s := spreadOf(slices.Repeat([]float64{1}, 50), 1); s != (Spread{0, 1, 1}) {
		t.Errorf("all right: %+v", s)
	}
	for name, err := range map[string]error{
		"nothing": second(Bootstrap(nil, nil, BootstrapConfig{})), "lengths": second(Bootstrap([]int{1, 2}, []float64{1}, BootstrapConfig{})),
		"groups": second(Bootstrap([]int{1}, []float64{1}, BootstrapConfig{Groups: []int{1, 2}})), "class -1": second(Bootstrap([]int{-1}, []float64{1}, BootstrapConfig{})),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_, _ Spread, err error) error { return err }

func TestPairwiseMcNemar(t *testing.T) {
	right := make([][]bool, 4)
	for i, wrong := range []int{2, 3, 30, 31} { // of 100; the third is wrong where the fourth is, but once
		right[i] = make([]bool, 100)
		for s := range right[i] {
			right[i][s] = s >= wrong
		}
	}
	pairs, err := PairwiseMcNemar(right)
	if err != nil || len(pairs) != 6 {
		t.Fatal(pairs, err)
	}
	if p := pairs[1]; p.A != 0 || p.B != 2 || p.OnlyA != 28 || p.OnlyB != 0 || p.Exact || math.Abs(p.P-3.3515963e-7) > 1e-13 || math.Abs(p.Holm-5*p.P) > 1e-15 {
		t.Errorf("%+v", p)
	}
	if got := ranksOf([]float64{.98, .97, .70, .69}, pairs, 0.05); !slices.Equal(got, []int{1, 1, 3, 3}) {
		t.Errorf("ranks %v", got)
	}
	for name, bad := range map[string][][]bool{"lengths": {{true, false}, {true}}, "no samples": {{}, {}}} {
		if _, err := PairwiseMcNemar(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if pairs, err := PairwiseMcNemar(right[:1]); err != nil || len(pairs) != 0 {
		t.Errorf("one: %v, %v", pairs, err)
	}
}

func TestRanks(t *testing.T) {
	for _, c := range []struct {
		name  string
		top1  []float64
		apart [][2]int
		want  []int
	}{
		{"none told apart", []float64{.5, .6, .7}, nil, []int{1, 1, 1}},
		{"all told apart", []float64{.5, .7, .6}, [][2]int{{0, 1}, {0, 2}, {1, 2}}, []int{3, 1, 2}},
		{"no chain", []float64{.7, .6, .5}, [][2]int{{0, 2}}, []int{1, 1, 2}},
		{"no order", []float64{.7, .6, .5}, [][2]int{{0, 1}}, []int{1, 2, 1}},
		{"equal accuracies", []float64{.7, .7}, [][2]int{{0, 1}}, []int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var pairs []PairTest
			for a := range c.top1 {
				for b := a + 1; b < len(c.top1); b++ {
					p := PairTest{A: a, B: b, Holm: 0.05}
					if slices.Contains(c.apart, [2]int{a, b}) {
						p.Holm = 0.0499
					}
					pairs = append(pairs, p)
				}
			}
			if got := ranksOf(c.top1, pairs, 0.05); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
