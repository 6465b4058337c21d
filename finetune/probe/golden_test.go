package probe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// golden is a case of testdata/golden.py: its rows, and what scikit-learn finds.
// Of Classes, one digit for each test row, a dot is a row that is not compared.
type golden struct {
	Name           string
	N, D, K, Noise int
	Balanced       bool
	LBFGS, Ridge   []struct {
		Lambda, Objective float64
		Classes           string
		Scores            [][]float64
	}
	KNN []struct {
		K               int
		Metric, Classes string
	}
}

// goldenTest is how many rows of a case come first, to test on.
const goldenTest = 100

func goldens(t *testing.T) []golden {
	t.Helper()
	content, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(content, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// draw is numbers of golden.py.
func draw(stream uint64, n int) []int {
	out := make([]int, n)
	for i := range out {
		z := uint64(i+1)*0x9E3779B97F4A7C15 + stream*0xD1B54A32D192ED03
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		out[i] = int((z^z>>31)>>60) - 8
	}
	return out
}

// data is rows of golden.py.
func (g golden) data() probe.Data {
	n := g.N + goldenTest
	d := probe.Data{X: make([]float32, n*g.D), N: n, D: g.D, Y: make([]int, n), Classes: names(g.K)}
	a, b := draw(1, n), draw(2, n)
	centre, mix, hidden, own, offset := draw(3, g.K*8), draw(4, 8*g.D), draw(5, n*8), draw(6, n*g.D), draw(7, g.D)
	length := []int{32, 16, 8, 4, 2, 2, 1, 1}
	for i := range n {
		u := (a[i]+8)*16 + b[i] + 8
		d.Y[i] = u * u * g.K / 65536
		for j := range g.D {
			sum := 0
			for h := range 8 {
				sum += (centre[d.Y[i]*8+h] + hidden[i*8+h]*g.Noise>>4) * length[h] * mix[h*g.D+j]
			}
			d.X[i*g.D+j] = float32(max(0, sum>>3+own[i*g.D+j]*g.Noise>>3+40*offset[j])) / 64
		}
	}
	return d
}

// parts are the test and the training rows.
func (g golden) parts() (test, train []int) {
	for i := range g.N + goldenTest {
		if i < goldenTest {
			test = append(test, i)
		} else {
			train = append(train, i)
		}
	}
	return test, train
}

// each runs f for every case with every implementation of Products.
func each(t *testing.T, f func(t *testing.T, g golden, s *probe.Set)) {
	for _, name := range []string{"gonum", "onnxruntime"} {
		var p probe.Products = probe.Gonum{}
		if name == "onnxruntime" {
			lib, err := runtime.Find("")
			if err != nil {
				t.Logf("without onnxruntime: %v", err)
				continue
			}
			o, err := runtime.NewProducts(runtime.Options{Library: lib})
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			p = o
		}
		for _, g := range goldens(t) {
			t.Run(name+"/"+g.Name, func(t *testing.T) {
				s, err := probe.NewSet(g.data(), p)
				if err != nil {
					t.Fatal(err)
				}
				f(t, g, s)
			})
		}
	}
}

// scored asks a model about the test rows, and compares classes.
func scored(t *testing.T, m probe.Model, s *probe.Set, rows []int, want, what string) []float32 {
	t.Helper()
	k := len(s.Classes)
	scores := make([]float32, len(rows)*k)
	if err := m.Scores(t.Context(), scores, s, rows); err != nil {
		t.Fatal(err)
	}
	for i, c := range probe.Predict(scores, k) {
		if want[i] != '.' && fmt.Sprint(c) != want[i:i+1] {
			t.Errorf("%s: row %d is of class %d by %v, scikit-learn says %c", what, rows[i], c, scores[i*k:(i+1)*k], want[i])
		}
	}
	return scores
}

// TestLBFGS goes the path as Select does, and wants scikit-learn's minima.
func TestLBFGS(t *testing.T) {
	each(t, func(t *testing.T, g golden, s *probe.Set) {
		test, train := g.parts()
		for _, want := range g.LBFGS {
			m, r, err := probe.Fit(t.Context(), s, train, probe.Setting{Lambda: want.Lambda}, probe.Config{Balanced: g.Balanced})
			if err != nil {
				t.Fatal(err)
			}
			got := objective(s.Data, train, m.(*probe.Head), want.Lambda/2, g.Balanced, crossEntropy)
			if above := got/want.Objective - 1; !(math.Abs(above) <= 1e-5) || !r.Converged {
				t.Errorf("lambda %v: the objective is %v, %.1e above scikit-learn's; %+v", want.Lambda, got, above, r)
			}
			if math.Abs(r.Objective/got-1) > 1e-5 {
				t.Errorf("lambda %v: the objective is %v, reported is %v", want.Lambda, got, r.Objective)
			}
			scored(t, m, s, test, want.Classes, fmt.Sprint("lambda ", want.Lambda))
		}
	})
}

// TestPath wants the same minima where each point starts from the one before.
func TestPath(t *testing.T) {
	each(t, func(t *testing.T, g golden, s *probe.Set) {
		test, train := g.parts()
		at := 0
		c := probe.Config{Balanced: g.Balanced, Points: told(func(p probe.Point) error {
			if want := g.LBFGS[at]; p.Setting.Lambda != want.Lambda || math.Abs(p.Fit.Objective/want.Objective-1) > 1e-5 || !p.Fit.Converged {
				t.Errorf("%+v, scikit-learn finds %v", p.Fit, want.Objective)
			}
			at++
			return nil
		})}
		if _, err := probe.Select(t.Context(), s, train, test, c); err != nil {
			t.Fatal(err)
		}
		if at != len(g.LBFGS) {
			t.Errorf("%d points, expected %d", at, len(g.LBFGS))
		}
	})
}

// crossEntropy and squares are the losses of a row.
func crossEntropy(z []float64, y int) float64 {
	best, sum := slices.Max(z), 0.0
	for _, x := range z {
		sum += math.Exp(x - best)
	}
	return math.Log(sum) + best - z[y]
}

func squares(z []float64, y int) float64 {
	sum := 1 - 2*z[y]
	for _, x := range z {
		sum += x * x
	}
	return sum
}

// objective is that of the package's documentation, in float64.
func objective(d probe.Data, rows []int, h *probe.Head, penalty float64, balanced bool, of func(z []float64, y int) float64) float64 {
	count := make([]float64, h.K)
	for _, i := range rows {
		count[d.Y[i]]++
	}
	loss, sum := 0.0, 0.0
	for _, i := range rows {
		z := make([]float64, h.K)
		for c := range z {
			z[c] = float64(h.B[c])
			for j, x := range d.X[i*d.D : (i+1)*d.D] {
				z[c] += float64(x) * float64(h.W[c*d.D+j])
			}
		}
		weight := 1.0
		if balanced {
			weight = float64(len(rows)) / (float64(h.K) * count[d.Y[i]])
		}
		loss += weight * of(z, d.Y[i])
		sum += weight
	}
	norm := 0.0
	for j := range d.D {
		mean, variance := 0.0, 0.0
		for _, i := range rows {
			mean += float64(d.X[i*d.D+j]) / float64(len(rows))
		}
		for _, i := range rows {
			variance += math.Pow(float64(d.X[i*d.D+j])-mean, 2) / float64(len(rows))
		}
		for c := range h.K {
			norm += math.Pow(float64(h.W[c*d.D+j]), 2) * variance
		}
	}
	return loss/sum + penalty*norm
}

func TestRidge(t *testing.T) {
	each(t, func(t *testing.T, g golden, s *probe.Set) {
		test, train := g.parts()
		for _, want := range g.Ridge {
			m, r, err := probe.Fit(t.Context(), s, train, probe.Setting{Lambda: want.Lambda}, probe.Config{Solver: "ridge", Balanced: g.Balanced})
			if err != nil {
				t.Fatal(err)
			}
			if got := objective(s.Data, train, m.(*probe.Head), want.Lambda, g.Balanced, squares); math.Abs(r.Objective/got-1) > 1e-4 {
				t.Errorf("lambda %v: the objective is %v, reported is %v", want.Lambda, got, r.Objective)
			}
			scores := scored(t, m, s, test, want.Classes, fmt.Sprint("lambda ", want.Lambda))
			for i, row := range want.Scores {
				for c, x := range row {
					if got := float64(scores[i*g.K+c]); math.Abs(got-x) > 1e-5 {
						t.Errorf("lambda %v: row %d scores %v for class %d, scikit-learn's is %v", want.Lambda, i, got, c, x)
					}
				}
			}
		}
	})
}

func TestNeighbours(t *testing.T) {
	each(t, func(t *testing.T, g golden, s *probe.Set) {
		test, train := g.parts()
		for _, want := range g.KNN {
			m, _, err := probe.Fit(t.Context(), s, train, probe.Setting{K: want.K, Metric: want.Metric}, probe.Config{Solver: "knn"})
			if err != nil {
				t.Fatal(err)
			}
			scored(t, m, s, test, want.Classes, fmt.Sprint(want.K, " by ", want.Metric))
		}
	})
}

// TestSGD wants the objective that L-BFGS finds, within a percent.
func TestSGD(t *testing.T) {
	g := goldens(t)[0]
	s, err := probe.NewSet(g.data(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, train := g.parts()
	at := probe.Setting{Lambda: .1, Rate: 3}
	for _, balanced := range []bool{false, true} {
		_, best, err := probe.Fit(t.Context(), s, train, probe.Setting{Lambda: at.Lambda}, probe.Config{Balanced: balanced})
		if err != nil {
			t.Fatal(err)
		}
		c := probe.Config{Solver: "sgd", Balanced: balanced, Epochs: 100}
		m, r, err := probe.Fit(t.Context(), s, train, at, c)
		if err != nil {
			t.Fatal(err)
		}
		if above := r.Objective/best.Objective - 1; above < -1e-6 || above > .01 {
			t.Errorf("balanced %v: %v, L-BFGS finds %v", balanced, r.Objective, best.Objective)
		}
		again, _, _ := probe.Fit(context.Background(), s, train, at, c)
		if c.Seed = 1; fmt.Sprint(m) != fmt.Sprint(again) {
			t.Error("the same seed gives another head")
		}
		if other, _, _ := probe.Fit(context.Background(), s, train, at, c); fmt.Sprint(m) == fmt.Sprint(other) {
			t.Error("another seed gives the same head")
		}
	}
	if _, _, err := probe.Fit(t.Context(), s, train, probe.Setting{Lambda: .1, Rate: 1e6}, probe.Config{Solver: "sgd"}); err == nil {
		t.Error("a rate at which it diverges gave a head")
	}
}
