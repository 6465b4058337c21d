package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/finetune/stratify"
)

func set(t testing.TB, d probe.Data) *probe.Set {
	t.Helper()
	s, err := probe.NewSet(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told is a store of points that knows none and tells of each.
type told func(probe.Point) error

func (told) Known(uint64, probe.Place) (probe.Point, bool) { return probe.Point{}, false }
func (f told) Add(_ uint64, p probe.Point) error           { return f(p) }

// remembered is a store of points that another one fills.
type remembered struct {
	told
	points map[string]probe.Point
}

func place(seed uint64, at probe.Place) string { return fmt.Sprint(seed, at) }

func (r remembered) Known(seed uint64, at probe.Place) (probe.Point, bool) {
	p, ok := r.points[place(seed, at)]
	return p, ok
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("c", i)
	}
	return out
}

// few are two settings for each solver.
var few = map[string][]probe.Setting{
	"lbfgs": {{Lambda: .1}, {Lambda: .001}},
	"sgd":   {{Lambda: .1, Rate: 1}, {Lambda: .001, Rate: 1}},
	"ridge": {{Lambda: .1}, {Lambda: .001}},
	"knn":   {{K: 9, Metric: "l2"}, {K: 3, Metric: "cosine"}},
}

// TestLeak plants a feature that is the label on the test rows and noise on the
// others. What is chosen and fitted must not depend on test rows at all, not even
// on their labels.
func TestLeak(t *testing.T) {
	g := goldens(t)[0]
	test, train := g.parts()
	planted := func(on bool) *probe.Set {
		d := g.data()
		for i, y := range d.Y {
			d.X[i*d.D] = float32(draw(uint64(100+i), 1)[0])
			if on && i < goldenTest {
				d.X[i*d.D] = float32(1000 * y)
			}
		}
		if !on {
			for i := range goldenTest {
				d.Y[i] = (d.Y[i] + 1) % g.K
				for j := range d.D {
					d.X[i*d.D+j] = -7
				}
			}
		}
		return set(t, d)
	}
	with, without := planted(true), planted(false)
	for _, solver := range probe.Solvers {
		t.Run(solver, func(t *testing.T) {
			c := probe.Config{Solver: solver, Grid: few[solver], Folds: 3}
			a, err := probe.Select(t.Context(), with, train, nil, c)
			if err != nil {
				t.Fatal(err)
			}
			b, err := probe.Select(t.Context(), without, train, nil, c)
			if err != nil {
				t.Fatal(err)
			}
			if a.Chosen != b.Chosen || !reflect.DeepEqual(a.Scores, b.Scores) || a.Fit != b.Fit {
				t.Errorf("test rows change the choice: %+v, %+v", a.Scores, b.Scores)
			}
			x, y := make([]float32, len(test)*g.K), make([]float32, len(test)*g.K)
			if err := errors.Join(a.Model.Scores(t.Context(), x, with, test), b.Model.Scores(t.Context(), y, with, test)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(x, y) {
				t.Error("test rows change the model")
			}
		})
	}
}

// TestLeakOutOfFold: a held-out row's label does not change its own scores.
func TestLeakOutOfFold(t *testing.T) {
	d := goldens(t)[4].data()
	folds, err := stratify.Folds(d.Labels(), nil, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := probe.Config{Grid: few["lbfgs"], Folds: 3}
	before, err := probe.CrossValidate(t.Context(), set(t, d), folds, c)
	if err != nil {
		t.Fatal(err)
	}
	d.Y = slices.Clone(d.Y)
	for _, i := range folds[2].Test {
		d.Y[i] = 1 - d.Y[i]
	}
	after, err := probe.CrossValidate(t.Context(), set(t, d), folds, c)
	if err != nil {
		t.Fatal(err)
	}
	k := len(d.Classes)
	for i := range d.N {
		same := slices.Equal(before.Scores[i*k:(i+1)*k], after.Scores[i*k:(i+1)*k])
		if slices.Contains(folds[2].Test, i) != same {
			t.Fatalf("row %d: scores are the same: %v", i, same)
		}
	}
}

// TestCrossValidate wants what Select finds in each fold, and no score for rows
// outside the folds.
func TestCrossValidate(t *testing.T) {
	d := goldens(t)[4].data()
	d.Y[3] = -1
	s := set(t, d)
	folds, err := stratify.Folds(d.Labels(), nil, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, solver := range probe.Solvers {
		c := probe.Config{Solver: solver, Grid: few[solver], Folds: 2, Epochs: 3}
		out, err := probe.CrossValidate(t.Context(), s, folds, c)
		if err != nil {
			t.Fatal(err)
		}
		k := len(d.Classes)
		for i, f := range folds {
			want, err := probe.Select(t.Context(), s, f.Train, nil, c)
			if err != nil {
				t.Fatal(err)
			}
			scores := make([]float32, len(f.Test)*k)
			if err := want.Model.Scores(t.Context(), scores, s, f.Test); err != nil {
				t.Fatal(err)
			}
			for j, row := range f.Test {
				if !slices.Equal(scores[j*k:(j+1)*k], out.Scores[row*k:(row+1)*k]) {
					t.Fatalf("%s: fold %d scores row %d otherwise than Select", solver, i, row)
				}
			}
		}
		if !math.IsNaN(float64(out.Scores[3*k])) {
			t.Errorf("row 3 has no label and scores %v", out.Scores[3*k:4*k])
		}
	}
}

// TestResume stops after some points, as SIGINT does, and goes on with them.
func TestResume(t *testing.T) {
	d := goldens(t)[4].data()
	s := set(t, d)
	folds, err := stratify.Folds(d.Labels(), nil, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, weights := range []bool{true, false} {
		for _, solver := range probe.Solvers {
			t.Run(fmt.Sprint(solver, weights), func(t *testing.T) {
				c := probe.Config{Solver: solver, Grid: few[solver], Folds: 2, Epochs: 3}
				want, err := probe.CrossValidate(t.Context(), s, folds, c)
				if err != nil {
					t.Fatal(err)
				}
				finished := map[string]probe.Point{}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				add := told(func(p probe.Point) error {
					if _, again := finished[place(0, p.Place)]; again {
						t.Errorf("%v is done twice", p.Place)
					}
					if !weights {
						p.W = nil
					}
					if finished[place(0, p.Place)] = p; len(finished) == 5 {
						cancel()
					}
					return nil
				})
				c.Points = add
				if _, err := probe.CrossValidate(ctx, s, folds, c); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if len(finished) != 5 {
					t.Fatalf("%d points are finished, expected 5", len(finished))
				}
				c.Points = remembered{add, finished}
				got, err := probe.CrossValidate(t.Context(), s, folds, c)
				if err != nil {
					t.Fatal(err)
				}
				if len(finished) != 12 {
					t.Errorf("%d points are finished, expected 12", len(finished))
				}
				for i, f := range got.Folds {
					if w := want.Folds[i]; f.Chosen != w.Chosen || !reflect.DeepEqual(f.Scores, w.Scores) || f.Fit != w.Fit {
						t.Errorf("fold %d: %+v, in one go %+v", i, f, w)
					}
				}
			})
		}
	}
	stop := errors.New("the disk is full")
	c := probe.Config{Grid: few["lbfgs"], Points: told(func(probe.Point) error { return stop })}
	if _, err := probe.Select(t.Context(), s, nil, nil, c); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// TestCancelled: no solver begins where the context has ended.
func TestCancelled(t *testing.T) {
	s := set(t, goldens(t)[4].data())
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, solver := range probe.Solvers {
		if _, _, err := probe.Fit(ctx, s, nil, few[solver][0], probe.Config{Solver: solver}); !errors.Is(err, cause) {
			t.Errorf("%s: %v", solver, err)
		}
	}
}

// TestChoice: the strongest of equally good penalties, whatever the grid's order,
// and what is chosen is better on the rows that it was chosen on.
func TestChoice(t *testing.T) {
	d := probe.Data{N: 60, D: 1, X: make([]float32, 60), Y: make([]int, 60), Classes: names(2)}
	for i := range d.N {
		d.Y[i] = i % 2
		d.X[i] = float32(i%2*100 + i)
	}
	found, err := probe.Select(t.Context(), set(t, d), nil, nil, probe.Config{Grid: []probe.Setting{{Lambda: .01}, {Lambda: .1}, {Lambda: .001}}})
	if err != nil {
		t.Fatal(err)
	}
	if found.Chosen.Lambda != .1 || found.Best.Top1 != 1 || found.Best.MeanPerClass != 1 || len(found.Scores) != 3 || found.Scores[2].Setting.Lambda != .001 {
		t.Errorf("%+v", found)
	}
}

// TestBalanced: of 95 rows against 5 that overlap, weights make the few count,
// and the choice is made by mean per-class accuracy.
func TestBalanced(t *testing.T) {
	d := probe.Data{N: 200, D: 2, X: make([]float32, 400), Y: make([]int, 200), Classes: names(2)}
	noise := draw(1, 400)
	for i := range d.N {
		if i%20 == 0 {
			d.Y[i] = 1
		}
		d.X[2*i], d.X[2*i+1] = float32(noise[2*i]+10*d.Y[i]), float32(noise[2*i+1])
	}
	for _, solver := range []string{"lbfgs", "ridge", "knn"} {
		var recall [2]float64
		for i, balanced := range []bool{false, true} {
			found, err := probe.Select(t.Context(), set(t, d), nil, nil, probe.Config{Solver: solver, Balanced: balanced, Folds: 3})
			if err != nil {
				t.Fatal(err)
			}
			recall[i] = found.Best.MeanPerClass
			if balanced {
				for _, s := range found.Scores {
					if s.MeanPerClass > found.Best.MeanPerClass {
						t.Errorf("%s: %+v is better than %+v", solver, s, found.Best)
					}
				}
			}
		}
		if recall[1] <= recall[0] {
			t.Errorf("%s: %.3f per class, balanced %.3f", solver, recall[0], recall[1])
		}
	}
}

// TestUntouched: nothing writes to the features.
func TestUntouched(t *testing.T) {
	d := goldens(t)[4].data()
	before := slices.Clone(d.X)
	for _, solver := range probe.Solvers {
		if _, err := probe.Select(t.Context(), set(t, d), nil, nil, probe.Config{Solver: solver, Grid: few[solver], Folds: 2, Epochs: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(before, d.X) {
		t.Error("X was changed")
	}
}

// TestBadData wants errors that wrap ErrData and say where.
func TestBadData(t *testing.T) {
	good := func() probe.Data {
		return probe.Data{N: 6, D: 2, X: []float32{1, 2, 3, 4, 5, 7, 7, 8, 9, 1, 2, 2}, Y: []int{0, 1, 0, 1, 0, 1}, Classes: []string{"ant", "bee"}}
	}
	for _, c := range []struct {
		name  string
		wreck func(*probe.Data)
		want  string
	}{
		{"NaN", func(d *probe.Data) { d.X[5] = float32(math.NaN()) }, "row 2, column 1 is NaN"},
		{"Inf", func(d *probe.Data) { d.X[8] = float32(math.Inf(-1)) }, "row 4, column 0 is -Inf"},
		{"shape", func(d *probe.Data) { d.X = d.X[:11] }, "11 features, expected 6 rows of 2"},
		{"labels", func(d *probe.Data) { d.Y = d.Y[:5] }, "5 labels"},
		{"label", func(d *probe.Data) { d.Y[3] = 2 }, "row 3 has the label 2"},
		{"no rows", func(d *probe.Data) { *d = probe.Data{D: 2} }, "0 features"},
		{"no labels", func(d *probe.Data) { d.Y = []int{-1, -1, -1, -1, -1, -1} }, "no row has a label"},
		{"single class", func(d *probe.Data) { d.Y = []int{1, 1, 1, 1, 1, 1} }, `all 6 training rows are of class "bee"`},
		{"one class, one named", func(d *probe.Data) { d.Y, d.Classes = make([]int, 6), []string{"ant"} }, `all 6 training rows are of class "ant"`},
		{"more classes than rows", func(d *probe.Data) { d.Classes = names(9) }, "9 classes, more than the 6 training rows"},
		{"constant", func(d *probe.Data) { d.X = slices.Repeat([]float32{.1, -3}, 6) }, "all 2 features are constant"},
	} {
		for _, solver := range probe.Solvers {
			t.Run(c.name+"/"+solver, func(t *testing.T) {
				d := good()
				c.wreck(&d)
				s, err := probe.NewSet(d, nil)
				if err == nil {
					_, _, err = probe.Fit(t.Context(), s, nil, few[solver][0], probe.Config{Solver: solver})
				}
				if !errors.Is(err, probe.ErrData) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, expected %q", err, c.want)
				}
			})
		}
	}
	s, other := set(t, good()), good()
	other.Classes = []string{"ant", "wasp"}
	for what, err := range map[string]error{
		`class 1 is "wasp"`:      s.Fits(set(t, other)),
		"3 features, expected 2": s.Fits(set(t, probe.Data{N: 1, D: 3, X: make([]float32, 3), Y: []int{0}, Classes: names(2)})),
		"3 classes, expected 2":  s.Fits(set(t, probe.Data{N: 1, D: 2, X: make([]float32, 2), Y: []int{0}, Classes: names(3)})),
	} {
		if !errors.Is(err, probe.ErrData) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, expected %q", err, what)
		}
	}
	if err := s.Fits(set(t, good())); err != nil {
		t.Error(err)
	}
}

// TestOneSample: a class with one row is trained on and never held out where
// settings are chosen, and cannot be cross-validated.
func TestOneSample(t *testing.T) {
	d := goldens(t)[4].data()
	d.Classes, d.Y = names(3), slices.Clone(d.Y)
	d.Y[11] = 2
	s := set(t, d)
	for _, solver := range probe.Solvers {
		of := 0
		c := probe.Config{Solver: solver, Grid: few[solver][:1], Epochs: 3, Points: told(func(p probe.Point) error {
			of += p.Of[2]
			return nil
		})}
		if _, err := probe.Select(t.Context(), s, nil, nil, c); err != nil || of != 0 {
			t.Errorf("%s: %v; held out %d times", solver, err, of)
		}
	}
	if _, err := stratify.Folds(d.Labels(), nil, 5, 1); !errors.As(err, new(*stratify.Error)) || !strings.Contains(err.Error(), `"c2" has one row`) {
		t.Error(err)
	}
}

// TestUntrained: a class without training rows is never the answer; rows without
// a label are left out; a constant feature has the weight 0.
func TestUntrained(t *testing.T) {
	d := goldens(t)[4].data()
	d.Classes, d.Y = names(4), slices.Clone(d.Y)
	for i := range d.N {
		d.Y[i] = 1 + 2*d.Y[i] // 1 or 3
		d.X[i*d.D+5] = .1
		if i < 20 {
			d.Y[i] = -1
		}
	}
	s := set(t, d)
	for _, solver := range probe.Solvers {
		m, _, err := probe.Fit(t.Context(), s, nil, few[solver][0], probe.Config{Solver: solver})
		if err != nil {
			t.Fatal(err)
		}
		scores := make([]float32, d.N*4)
		rows := make([]int, d.N)
		for i := range rows {
			rows[i] = i
		}
		if err := m.Scores(t.Context(), scores, s, rows); err != nil {
			t.Fatal(err)
		}
		right := 0
		for i, c := range probe.Predict(scores, 4) {
			if c%2 == 0 {
				t.Fatalf("%s: row %d is of class %d, which has no training row", solver, i, c)
			}
			if c == d.Y[i] {
				right++
			}
		}
		if right < d.N*6/10 {
			t.Errorf("%s: %d of %d are right", solver, right, d.N)
		}
		if h, ok := m.(*probe.Head); ok && (h.W[d.D+5] != 0 || h.W[3*d.D+5] != 0) {
			t.Errorf("%s: a constant feature weighs %v and %v", solver, h.W[d.D+5], h.W[3*d.D+5])
		}
	}
}

// TestMisuse: calls that are wrong are not the data's fault.
func TestMisuse(t *testing.T) {
	d := goldens(t)[4].data()
	s := set(t, d)
	for _, c := range []struct {
		at probe.Setting
		c  probe.Config
	}{
		{probe.Setting{Lambda: 1}, probe.Config{Solver: "svm"}},
		{probe.Setting{}, probe.Config{}},
		{probe.Setting{Lambda: math.NaN()}, probe.Config{Solver: "ridge"}},
		{probe.Setting{Lambda: math.Inf(1)}, probe.Config{}},
		{probe.Setting{Lambda: 1}, probe.Config{Solver: "sgd"}},
		{probe.Setting{K: 3}, probe.Config{Solver: "knn"}},
		{probe.Setting{Metric: "l2"}, probe.Config{Solver: "knn"}},
		{probe.Setting{Lambda: 1}, probe.Config{Folds: 1}},
		{probe.Setting{Lambda: 1, Rate: 1}, probe.Config{Solver: "sgd", Epochs: -1}},
	} {
		if _, _, err := probe.Fit(t.Context(), s, nil, c.at, c.c); err == nil || errors.Is(err, probe.ErrData) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	grid := few["lbfgs"]
	for name, f := range map[string]func() error{
		"a row twice": func() error {
			_, _, err := probe.Fit(t.Context(), s, []int{1, 2, 1}, grid[0], probe.Config{})
			return err
		},
		"a row too many": func() error {
			_, _, err := probe.Fit(t.Context(), s, []int{1, d.N}, grid[0], probe.Config{})
			return err
		},
		"val trained on": func() error {
			_, err := probe.Select(t.Context(), s, []int{1, 2, 3}, []int{3}, probe.Config{})
			return err
		},
		"an empty grid": func() error {
			_, err := probe.Select(t.Context(), s, nil, nil, probe.Config{Grid: []probe.Setting{}})
			return err
		},
		"a fold overlapping": func() error {
			_, err := probe.CrossValidate(t.Context(), s, []stratify.Fold{{Train: []int{0, 1}, Test: []int{1}}}, probe.Config{})
			return err
		},
		"tested twice": func() error {
			_, err := probe.CrossValidate(t.Context(), s, []stratify.Fold{{Train: []int{0, 2}, Test: []int{1}}, {Train: []int{0, 2}, Test: []int{1}}}, probe.Config{})
			return err
		},
		"scores too short": func() error {
			return (&probe.Head{W: make([]float32, 40), B: make([]float32, 2), K: 2, D: 20}).Scores(t.Context(), make([]float32, 3), s, []int{0, 1})
		},
		"another width": func() error {
			return (&probe.Head{W: make([]float32, 4), B: make([]float32, 2), K: 2, D: 2}).Scores(t.Context(), make([]float32, 4), s, []int{0, 1})
		},
		"not fitted": func() error { return (&probe.Neighbours{K: 1, Metric: "l2"}).Scores(t.Context(), nil, s, nil) },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestScores(t *testing.T) {
	d := probe.Data{N: 4, D: 2, X: []float32{1, 2, 3, 4, 5, 6, 7, 8}, Y: []int{0, 1, 0, 1}, Classes: names(3)}
	h := &probe.Head{W: []float32{1, 0, 0, 1, 1, -1}, B: []float32{0, .5, 9}, K: 3, D: 2}
	for _, rows := range [][]int{{0, 1, 2, 3}, {3, 1}, {2, 2, 0}, {}} {
		got, want := make([]float32, 3*len(rows)), []float32{}
		if err := h.Scores(t.Context(), got, set(t, d), rows); err != nil {
			t.Fatal(err)
		}
		for _, i := range rows {
			a, b := d.X[2*i], d.X[2*i+1]
			want = append(want, a, b+.5, a-b+9)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v, expected %v", rows, got, want)
		}
	}
	if got := probe.Predict([]float32{1, 1, 0, 0, 2, 2, 0, 0, 3}, 3); !slices.Equal(got, []int{0, 1, 2}) {
		t.Error(got)
	}
}
