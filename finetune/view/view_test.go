package view

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
)

// features are those of testdata/golden.py.
func features(n, d int, decay float64) []float32 {
	state, x := uint64(12345), make([]float32, n*d)
	row := make([]float64, d)
	for i := range n {
		for j := range row {
			state = (state*1103515245 + 12345) % (1 << 31)
			row[j] = (float64(state)/(1<<30) - 1) * math.Pow(decay, float64(j))
		}
		for j := d - 1; j >= 0; j-- {
			v := row[j]
			if j > 0 {
				v += 0.5 * row[j-1]
			}
			x[i*d+j] = float32(v + 3)
		}
	}
	return x
}

// TestGolden compares with scikit-learn (testdata/golden.py).
func TestGolden(t *testing.T) {
	var cases []struct {
		N, D, K                          int
		Decay                            float64
		Variance, Ratio, Projected, Axes []float64
		Rows, Neighbours                 []int
		Cosines                          []float64
	}
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) != 5 {
		t.Fatal(len(cases), err)
	}
	for _, c := range cases {
		x := features(c.N, c.D, c.Decay)
		before := slices.Clone(x)
		p, err := PCA(t.Context(), x, c.N, c.D, c.K)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.K {
			if e := math.Abs(p.Variance[i]/c.Variance[i] - 1); !(e < 1e-8) || !(math.Abs(p.Ratio[i]-c.Ratio[i]) < 1e-8) {
				t.Errorf("[%d,%d]: variance %d is %v (%v), want %v (%v)", c.N, c.D, i, p.Variance[i], p.Ratio[i], c.Variance[i], c.Ratio[i])
			}
			// scikit-learn's signs follow the same rule since 1.5.
			for j := range c.D {
				if e := math.Abs(p.Axes[i*c.D+j] - c.Axes[i*c.D+j]); !(e < 1e-6) {
					t.Fatalf("[%d,%d]: axis %d is off by %v at %d", c.N, c.D, i, e, j)
				}
			}
			for at, row := range c.Rows {
				if e := math.Abs(p.Projected[row*c.K+i] - c.Projected[at*c.K+i]); !(e < 1e-6) {
					t.Fatalf("[%d,%d]: row %d is off by %v along axis %d", c.N, c.D, row, e, i)
				}
			}
		}
		found, err := Neighbours(x, c.N, c.D, 0, 5)
		if err != nil || len(found) != len(c.Neighbours) {
			t.Fatal(found, err)
		}
		for i, f := range found {
			if f.Row != c.Neighbours[i] || math.Abs(f.Cosine-c.Cosines[i]) > 1e-12 {
				t.Errorf("[%d,%d]: neighbour %d is %v, want %d at %v", c.N, c.D, i, f, c.Neighbours[i], c.Cosines[i])
			}
		}
		if !slices.Equal(x, before) {
			t.Error("the features were changed")
		}
	}
}

// TestAxes checks that axes are orthonormal and that variances are those of the
// projections, also for features without variance or of a rank below k.
func TestAxes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		name          string
		n, d, k, rank int
	}{
		{"wide", 5, 700, 3, 4}, {"rank one", 50, 40, 2, 1}, {"constant", 10, 8, 2, 0}, {"all components", 30, 6, 6, 6}, {"one feature", 9, 1, 1, 1}, {"two rows", 2, 30, 2, 1}, {"equal variances", 64, 32, 2, 32},
	} {
		x := make([]float32, c.n*c.d)
		for range min(c.rank, c.d) {
			u, v := random(r, c.n), random(r, c.d)
			for i := range x {
				x[i] += float32(u[i/c.d] * v[i%c.d])
			}
		}
		if c.name == "equal variances" { // each feature alone is 1, then -1
			clear(x)
			for j := range c.d {
				x[2*j*c.d+j], x[(2*j+1)*c.d+j] = 1, -1
			}
		}
		p, err := PCA(t.Context(), x, c.n, c.d, c.k)
		if err != nil {
			t.Fatal(c.name, err)
		}
		for i := range c.k {
			a := p.Axes[i*c.d : (i+1)*c.d]
			for j := range c.k {
				want := 0.0
				if i == j {
					want = 1
				}
				if got := dot(a, p.Axes[j*c.d:(j+1)*c.d]); math.Abs(got-want) > 1e-9 {
					t.Errorf("%s: axes %d and %d have product %v", c.name, i, j, got)
				}
			}
			variance := 0.0
			for row := range c.n {
				variance += p.Projected[row*c.k+i] * p.Projected[row*c.k+i] / float64(c.n-1)
			}
			if math.Abs(variance-p.Variance[i]) > 1e-8*p.Variance[0] || i >= c.rank && p.Variance[i] > 1e-10*p.Variance[0] || i > 0 && p.Variance[i] > p.Variance[i-1] {
				t.Errorf("%s: variance %d of %v, projected %v", c.name, i, p.Variance, variance)
			}
		}
	}
}

// TestCores checks that one core gives the same bits as all.
func TestCores(t *testing.T) {
	x := features(500, 80, 0.98)
	all, err := PCA(t.Context(), x, 500, 80, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, err := PCA(t.Context(), x, 500, 80, 2)
	if err != nil || !slices.Equal(one.Projected, all.Projected) || !slices.Equal(one.Axes, all.Axes) {
		t.Error("the components depend on the cores", err)
	}
}

func TestRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, err := range map[string]error{
		"one row": tried(PCA(t.Context(), []float32{1, 2}, 1, 2, 1)), "too many": tried(PCA(t.Context(), make([]float32, 6), 3, 2, 3)),
		"none": tried(PCA(t.Context(), make([]float32, 6), 3, 2, 0)), "length": tried(PCA(t.Context(), make([]float32, 7), 3, 2, 1)),
		"NaN": tried(PCA(t.Context(), []float32{1, 2, 3, nan}, 2, 2, 1)), "infinite": tried(PCA(t.Context(), []float32{1, inf, 3, 4}, 2, 2, 1)),
		"neighbours of NaN": tried(Neighbours([]float32{1, 2, nan, 4}, 2, 2, 0, 1)), "of infinite": tried(Neighbours([]float32{1, 2, inf, 4}, 2, 2, 1, 1)),
		"of no row": tried(Neighbours(make([]float32, 4), 2, 2, 2, 1)), "no neighbours": tried(Neighbours(make([]float32, 4), 2, 2, 0, 0)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := PCA(ctx, make([]float32, 6), 3, 2, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func tried[T any](_ T, err error) error { return err }

func TestNeighbours(t *testing.T) {
	x := []float32{1, 0, 0, 0, 2, 0, 1, 1, -1, 0, 2, 2}
	got, err := Neighbours(x, 6, 2, 0, 9)
	want := []Neighbour{{2, 1}, {3, math.Sqrt(0.5)}, {5, math.Sqrt(0.5)}, {1, 0}, {4, -1}}
	if err != nil || len(got) != len(want) {
		t.Fatal(got, err)
	}
	for i := range got {
		if got[i].Row != want[i].Row || math.Abs(got[i].Cosine-want[i].Cosine) > 1e-15 {
			t.Errorf("%d: %v, want %v", i, got[i], want[i])
		}
	}
	if got, err := Neighbours(x[:2], 1, 2, 0, 3); err != nil || len(got) != 0 {
		t.Errorf("alone: %v, %v", got, err)
	}
}

func BenchmarkPCA(b *testing.B) {
	const n, d = 5000, 1024
	x := features(n, d, 0.995)
	for b.Loop() {
		if _, err := PCA(b.Context(), x, n, d, 2); err != nil {
			b.Fatal(err)
		}
	}
}
