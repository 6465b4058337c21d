package probe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/finetune/stratify"
)

// clusters are n rows around the centres of three classes, whose splits, if any,
// follow each other in turn.
func clusters(n int, splits ...string) probe.Data {
	d := probe.Data{N: n, D: 4, Classes: []string{"ash", "elm", "oak"}}
	for i := range n {
		y := i % 3
		for j, r := range draw(uint64(1000+i), 4) {
			x := float32(r) // -8 to 7
			if j == y {
				x += 5
			}
			d.X = append(d.X, x)
		}
		d.Y, d.Names = append(d.Y, y), append(d.Names, fmt.Sprint("tree-", i))
		if len(splits) > 0 {
			d.Splits = append(d.Splits, splits[i/3%len(splits)])
		}
	}
	return d
}

var ridge = probe.Config{Solver: "ridge", Grid: few["ridge"], Folds: 3}

func TestPlan(t *testing.T) {
	unlabelled := clusters(60, "train", "test")
	unlabelled.Y[0], unlabelled.Y[3], unlabelled.Y[59] = -1, -1, -1
	grouped := clusters(60, "train", "test")
	for i := range grouped.N {
		grouped.Groups = append(grouped.Groups, []string{"", "pair"}[i%7/6])
	}
	rare := clusters(60, "train", "test")
	for i, split := range rare.Splits {
		if split == "train" && rare.Y[i] == 2 {
			rare.Y[i] = 1
		}
	}
	other := clusters(90, "train", "test", "test")
	for i := range other.X {
		other.X[i] += .01
	}
	for name, c := range map[string]struct {
		data, test *probe.Data
		protocol   probe.Protocol
		train, val int
		judged     int
		caveats    probe.Caveats
	}{
		"a test split":            {data: ptr(clusters(60, "train", "test")), protocol: probe.Test, train: 30, judged: 30},
		"and a val split":         {data: ptr(clusters(90, "", "val", "test")), protocol: probe.Test, train: 30, val: 30, judged: 30},
		"a val split":             {data: ptr(clusters(60, "train", "val")), protocol: probe.Validation, train: 30, judged: 30},
		"no splits":               {data: ptr(clusters(60)), protocol: probe.CrossValidation, train: 60, judged: 60},
		"val alone":               {data: ptr(clusters(60, "val")), protocol: probe.CrossValidation, train: 60, judged: 60},
		"no labels of some":       {data: &unlabelled, protocol: probe.Test, train: 29, judged: 28, caveats: probe.Caveats{Unlabelled: 3}},
		"a group on both sides":   {data: &grouped, protocol: probe.Test, train: 30, judged: 30, caveats: probe.Caveats{SharedGroups: 1}},
		"a class not learned":     {data: &rare, protocol: probe.Test, train: 30, judged: 30, caveats: probe.Caveats{Unlearned: []int{2}}},
		"a test set":              {data: ptr(clusters(60)), test: ptr(clusters(30)), protocol: probe.Test, train: 60, judged: 30},
		"a test set of one split": {data: ptr(clusters(60)), test: ptr(clusters(30, "test")), protocol: probe.Test, train: 60, judged: 30},
		"its test split": {data: ptr(clusters(60, "train", "test")), test: &other, protocol: probe.Test, train: 30, judged: 60,
			caveats: probe.Caveats{TestOnly: true, OutsideTest: 30}},
		"itself": {data: ptr(clusters(60)), test: ptr(clusters(60)), protocol: probe.Test, train: 60, judged: 60, caveats: probe.Caveats{Trained: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var test *probe.Set
			if c.test != nil {
				test = set(t, *c.test)
			}
			p, err := probe.NewPlan(set(t, *c.data), test)
			if err != nil {
				t.Fatal(err)
			}
			if p.Protocol != c.protocol || len(p.Train) != c.train || len(p.Val) != c.val || len(p.Rows) != c.judged || !reflect.DeepEqual(p.Caveats, c.caveats) {
				t.Errorf("%s, %d to train, %d to choose, %d to judge, %+v", p.Protocol, len(p.Train), len(p.Val), len(p.Rows), p.Caveats)
			}
			if p.Protocol != probe.CrossValidation && p.Judged == p.Data {
				for _, row := range p.Rows {
					if slices.Contains(p.Train, row) || slices.Contains(p.Val, row) || p.Data.Y[row] < 0 {
						t.Errorf("row %d is judged on, and trained on or without a label", row)
					}
				}
			}
		})
	}
	narrow := clusters(30)
	narrow.D, narrow.X = 2, narrow.X[:60]
	blank := clusters(30)
	for i := range blank.Y {
		blank.Y[i] = -1
	}
	for want, c := range map[string][2]*probe.Data{
		"no sample to train on":        {ptr(clusters(30, "test"))},
		"none of the samples":          {ptr(clusters(30)), &blank},
		"rows of 2 features":           {ptr(clusters(30)), &narrow},
		"none of the samples to judge": {&blank},
	} {
		var test *probe.Set
		if c[1] != nil {
			test = set(t, *c[1])
		}
		if _, err := probe.NewPlan(set(t, *c[0]), test); !errors.Is(err, probe.ErrData) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func ptr(d probe.Data) *probe.Data { return &d }

// evaluate is a call that succeeds.
func evaluate(t *testing.T, d probe.Data, c probe.EvaluateConfig) (*probe.Plan, *probe.Evaluation) {
	t.Helper()
	p, err := probe.NewPlan(set(t, d), nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := probe.Evaluate(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	return p, e
}

// TestEvaluate recounts the figures from the predictions, and the predictions from
// the classifiers that Select and CrossValidate make.
func TestEvaluate(t *testing.T) {
	for _, splits := range [][]string{{"train", "test"}, {"train", "val"}, {"train", "train", "val", "test"}, nil} {
		t.Run(fmt.Sprint(splits), func(t *testing.T) {
			p, e := evaluate(t, clusters(120, splits...), probe.EvaluateConfig{Config: ridge, Seeds: 3})
			if e.Protocol != p.Protocol || e.N != len(p.Rows) || e.Train != len(p.Train) || len(e.Seeds) != 3 || len(e.PerClass) != 3 {
				t.Errorf("%+v", e)
			}
			all, means, right := 0.0, 0.0, e.Predictions.Right()
			for i, s := range e.Seeds {
				if s.Seed != uint64(i) || e.Predictions.Seeds[i] != s.Seed {
					t.Errorf("seed %d is %d", i, s.Seed)
				}
				want, selected := byHand(t, p, s.Seed)
				if selected != nil && (!slices.Equal(s.Chosen, []probe.Setting{selected.Chosen}) || i == 0 && !reflect.DeepEqual(e.Selected.Scores, selected.Scores)) {
					t.Errorf("seed %d chose %v of %v, want %v of %v", i, s.Chosen, e.Selected.Scores, selected.Chosen, selected.Scores)
				}
				n := 0
				for at, ok := range right[i] {
					if e.Predictions.Predicted[i][at] != p.Data.Classes[want[at]] {
						t.Fatalf("seed %d predicts %q of row %d, want class %d", i, e.Predictions.Predicted[i][at], p.Rows[at], want[at])
					}
					if ok {
						n++
					}
				}
				if got := float64(n) / float64(e.N); math.Abs(s.Top1-got) > 1e-12 {
					t.Errorf("seed %d: top-1 %v, %v are right", i, s.Top1, got)
				}
				all, means = all+s.Top1/3, means+s.MeanPerClass/3
			}
			if math.Abs(e.Top1-all) > 1e-12 || math.Abs(e.MeanPerClass-means) > 1e-12 || e.Top5 != 1 || !(e.Top1Spread.Low < e.Top1 && e.Top1 < e.Top1Spread.High) {
				t.Errorf("top-1 %v of seeds with %v, mean per class %v of %v, top-5 %v, spread %+v", e.Top1, all, e.MeanPerClass, means, e.Top5, e.Top1Spread)
			}
			correct := 0
			for _, c := range e.PerClass {
				correct += c.Correct
			}
			if math.Abs(float64(correct)/float64(e.N)-e.Top1) > 0.02 {
				t.Errorf("%d of %d are correct by class, top-1 is %v", correct, e.N, e.Top1)
			}
			if _, is := e.Selected.Model.(*probe.Head); !is {
				t.Errorf("the classifier is a %T", e.Selected.Model)
			}
		})
	}
}

// byHand are the classes that a plan's rows are given with one seed, and, but for
// cross-validation, what was chosen.
func byHand(t *testing.T, p *probe.Plan, seed uint64) ([]int, *probe.Selected) {
	t.Helper()
	c, k := ridge, len(p.Data.Classes)
	c.Seed = seed
	var scores []float32
	if p.Protocol == probe.CrossValidation {
		folds, err := stratify.Folds(p.Data.Labels(), p.Train, c.Folds, seed)
		if err != nil {
			t.Fatal(err)
		}
		out, err := probe.CrossValidate(t.Context(), p.Data, folds, c)
		if err != nil {
			t.Fatal(err)
		}
		return probe.Predict(out.Scores, k), nil // all rows are judged, in order
	}
	found, err := probe.Select(t.Context(), p.Data, p.Train, p.Val, c)
	if err != nil {
		t.Fatal(err)
	}
	scores = make([]float32, len(p.Rows)*k)
	if err := found.Model.Scores(t.Context(), scores, p.Judged, p.Rows); err != nil {
		t.Fatal(err)
	}
	return probe.Predict(scores, k), found
}

// TestEvaluateDraws trains on draws, of every fold too, and tells how many rows
// they have.
func TestEvaluateDraws(t *testing.T) {
	for _, splits := range [][]string{{"train", "test"}, nil} {
		seen := 0
		c := probe.EvaluateConfig{Config: ridge, PerClass: 4}
		c.Folds = 2
		c.Points = told(func(p probe.Point) error { seen += p.N; return nil })
		_, e := evaluate(t, clusters(120, splits...), c)
		// Of the 12 rows of a draw each is held out once for each of 2 settings, in
		// each of 2 folds and in all.
		want := 12 * 2
		if splits == nil {
			want *= 3
		}
		if e.Train != 12 || seen != want {
			t.Errorf("%q: %d to train on, %d rows held out for the choice, want %d", splits, e.Train, seen, want)
		}
		c.PerClass = 50
		p, err := probe.NewPlan(set(t, clusters(120, splits...)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := probe.Evaluate(t.Context(), p, c); !errors.Is(err, probe.ErrData) || !strings.Contains(err.Error(), "50 were asked for") {
			t.Errorf("%q: %v", splits, err)
		}
	}
}

// TestEvaluateGroups draws whole groups for the spread.
func TestEvaluateGroups(t *testing.T) {
	d := clusters(120, "train", "test")
	_, single := evaluate(t, d, probe.EvaluateConfig{Config: ridge})
	for i := range d.N {
		d.Groups = append(d.Groups, fmt.Sprint(i/12))
	}
	p, grouped := evaluate(t, d, probe.EvaluateConfig{Config: ridge})
	var labels, groups []int
	var right []float64
	for i, ok := range grouped.Predictions.Right()[0] {
		labels, groups, right = append(labels, d.Y[p.Rows[i]]), append(groups, p.Rows[i]/12), append(right, map[bool]float64{true: 1}[ok])
	}
	want, _, err := metrics.Bootstrap(labels, right, metrics.BootstrapConfig{Groups: groups})
	if err != nil || grouped.Top1Spread != want || single.Top1Spread == want {
		t.Errorf("%v: spread %+v, by groups %+v, by rows %+v", err, grouped.Top1Spread, want, single.Top1Spread)
	}
}

// TestEvaluateResumes goes on from points that are kept by seed.
func TestEvaluateResumes(t *testing.T) {
	for _, splits := range [][]string{{"train", "test"}, nil} {
		c, points := probe.EvaluateConfig{Config: ridge, Seeds: 2}, 0
		c.Points = told(func(probe.Point) error { points++; return nil })
		p, want := evaluate(t, clusters(60, splits...), c)
		for stop := 1; ; stop += 3 {
			ctx, cancel := context.WithCancel(t.Context())
			store, added := &kept{points: map[string]probe.Point{}}, 0
			store.add = func() {
				if added++; added == stop {
					cancel()
				}
			}
			c.Points = store
			_, err := probe.Evaluate(ctx, p, c)
			cancel()
			if err == nil {
				break // it has fewer points
			}
			got, err := probe.Evaluate(t.Context(), p, c)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("stopped after %d points: %+v, in one go %+v", stop, got, want)
			}
			if added != points || len(store.points) != points {
				t.Errorf("stopped after %d points: %d were computed and %d are kept, in one go %d", stop, added, len(store.points), points)
			}
		}
	}
}

// kept is a store of points in memory.
type kept struct {
	points map[string]probe.Point
	add    func()
}

func (k *kept) Known(seed uint64, at probe.Place) (probe.Point, bool) {
	p, ok := k.points[place(seed, at)]
	return p, ok
}

func (k *kept) Add(seed uint64, p probe.Point) error {
	k.points[place(seed, p.Place)] = p
	k.add()
	return nil
}

// TestPredictions reads back what it writes.
func TestPredictions(t *testing.T) {
	want := &probe.Predictions{
		Names: []string{"a, b.png", "c\"d"}, Classes: []string{"x", "y"}, Seeds: []uint64{3, 4},
		Predicted: [][]string{{"x", "x"}, {"y", "y"}}, Confidence: [][]float64{{0.5, 0.875}, {1, 0.25}},
	}
	var b bytes.Buffer
	if err := want.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	if text := "path,class,predicted_3,predicted_4,confidence_3,confidence_4\n\"a, b.png\",x,x,y,0.5000,1.0000\n\"c\"\"d\",y,x,y,0.8750,0.2500\n"; b.String() != text {
		t.Errorf("%q, want %q", b.String(), text)
	}
	got, err := probe.ReadPredictions(&b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	if right := fmt.Sprint(got.Right()); right != "[[true false] [false true]]" {
		t.Errorf("right %s", right)
	}
	for _, text := range []string{"", "path,class,predicted_0\n", "path,class\na,b\n", "path,class,predicted_0\na,b\n", "path,class,guess\na,b,c\n",
		"path,class,predicted_0,confidence_1\na,b,c,0.5\n", "path,class,predicted_0,confidence_0\na,b,c,high\n", "path,class,confidence_0\na,b,0.5\n"} {
		if _, err := probe.ReadPredictions(strings.NewReader(text)); !errors.Is(err, featurize.ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestPredictionsWithoutConfidence reads a table that has no columns of confidence.
func TestPredictionsWithoutConfidence(t *testing.T) {
	p, err := probe.ReadPredictions(strings.NewReader("path,class,predicted_0\na,x,y\n"))
	if err != nil || len(p.Confidence) != 0 || p.Predicted[0][0] != "y" {
		t.Fatalf("%+v %v", p, err)
	}
	if got := p.Mistakes(5); got != nil {
		t.Errorf("mistakes of unknown confidence: %v", got)
	}
}

// TestMistakes orders the mistakes of the first seed by their confidence.
func TestMistakes(t *testing.T) {
	p := &probe.Predictions{
		Names: []string{"a", "b", "c", "d"}, Classes: []string{"x", "x", "y", "z"}, Seeds: []uint64{0, 1},
		Predicted:  [][]string{{"y", "x", "z", "x"}, {"x", "y", "y", "z"}},
		Confidence: [][]float64{{0.4, 0.99, 0.9, 0.6}, {0, 0, 0, 0}},
	}
	want := []probe.Mistake{{2, "z", 0.9}, {3, "x", 0.6}}
	if got := p.Mistakes(2); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := len(p.Mistakes(9)); got != 3 {
		t.Errorf("%d mistakes, want 3", got)
	}
	if got := p.Confusion([]string{"x", "y", "z"}); !slices.Equal(got, []int{1, 1, 0, 0, 0, 1, 1, 0, 0}) {
		t.Errorf("confusion %v", got)
	}
}

// TestConfidence computes the softmax of the scores of the chosen classifier.
func TestConfidence(t *testing.T) {
	p, e := evaluate(t, clusters(120, "train", "test"), probe.EvaluateConfig{Config: ridge})
	k := len(p.Data.Classes)
	scores := make([]float32, len(p.Rows)*k)
	if err := e.Selected.Model.Scores(t.Context(), scores, p.Judged, p.Rows); err != nil {
		t.Fatal(err)
	}
	for i := range p.Rows {
		row, sum := scores[i*k:][:k], 0.0
		for _, s := range row {
			sum += math.Exp(float64(s - slices.Max(row)))
		}
		if got := e.Predictions.Confidence[0][i]; math.Abs(got-1/sum) > 1e-6 {
			t.Errorf("row %d: confidence %v, want %v of %v", i, got, 1/sum, row)
		}
	}
}

// TestDigest follows all that belongs to a row.
func TestDigest(t *testing.T) {
	digest := func(change func(d *probe.Data)) string {
		d := clusters(30, "train", "test")
		d.Groups = make([]string, 30)
		change(&d)
		return set(t, d).Digest()
	}
	same := digest(func(*probe.Data) {})
	if same != digest(func(*probe.Data) {}) || !strings.HasPrefix(same, "30 x 4, ") {
		t.Errorf("%q", same)
	}
	for name, change := range map[string]func(*probe.Data){
		"feature": func(d *probe.Data) { d.X[5]++ }, "label": func(d *probe.Data) { d.Y[5] = -1 }, "class": func(d *probe.Data) { d.Classes[1] = "fir" },
		"split": func(d *probe.Data) { d.Splits[5] = "val" }, "group": func(d *probe.Data) { d.Groups[5] = "g" }, "name": func(d *probe.Data) { d.Names[5] = "n" },
	} {
		if digest(change) == same {
			t.Errorf("the digest is that of another %s", name)
		}
	}
}

// TestOtherOrderOfClasses: a test set whose classes are in another order is judged by
// name.
func TestOtherOrderOfClasses(t *testing.T) {
	train, test := set(t, clusters(90)), clusters(60)
	for i := range test.X {
		test.X[i] += .01
	}
	turned := test
	turned.Classes, turned.Y = []string{"oak", "ash", "elm"}, slices.Clone(test.Y)
	for i, y := range test.Y {
		turned.Y[i] = slices.Index(turned.Classes, test.Classes[y])
	}
	turned.Y[5], test.Y[5] = -1, -1
	var found [2]*probe.Evaluation
	for i, d := range []probe.Data{test, turned} {
		p, err := probe.NewPlan(train, set(t, d))
		if err != nil {
			t.Fatal(err)
		}
		if found[i], err = probe.Evaluate(t.Context(), p, probe.EvaluateConfig{Config: ridge}); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(found[0].Predictions, found[1].Predictions) || found[0].N != 59 || found[0].Top1 < .6 {
		t.Errorf("%d rows at %v, in another order %d at %v", found[0].N, found[0].Top1, found[1].N, found[1].Top1)
	}
}
