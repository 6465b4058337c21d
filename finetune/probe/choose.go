package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/finetune/stratify"
)

// Select chooses a setting of the grid by its accuracy on val, or, where val is
// empty, on c.Folds folds of train, and fits it to all of train. Of settings equally
// good it takes the one of the strongest penalty. No other row of s is looked at.
func Select(ctx context.Context, s *Set, train, val []int, c Config) (*Selected, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	return choose(ctx, s, train, val, c, -1)
}

func choose(ctx context.Context, s *Set, train, val []int, c Config, outer int) (*Selected, error) {
	train, err := s.rows(train)
	if err != nil {
		return nil, err
	}
	var folds []stratify.Fold
	first := 0
	if len(val) > 0 {
		folds, first = []stratify.Fold{{Train: train, Test: val}}, -1
		err = s.checkFolds(folds)
	} else {
		folds, err = stratify.InnerFolds(s.Labels(), train, c.Folds, c.Seed)
		err = parted("settings cannot be chosen on ", err)
	}
	if err != nil {
		return nil, err
	}
	tallies := make([]tally, len(c.Grid))
	for i, f := range folds {
		points, err := path(ctx, s, f, c, outer, first+i)
		if err != nil {
			return nil, err
		}
		for j, p := range points {
			if err := tallies[j].add(p, len(s.Classes)); err != nil {
				return nil, err
			}
		}
	}
	found := best(tallies, c)
	found.Model, found.Fit, err = Fit(ctx, s, train, found.Chosen, c)
	return found, err
}

// best chooses the first of the best settings.
func best(tallies []tally, c Config) *Selected {
	found := &Selected{}
	quality := func(s Score) float64 {
		if c.Balanced {
			return s.MeanPerClass
		}
		return s.Top1
	}
	for i, t := range tallies {
		s := t.score(c.Grid[i])
		found.Scores = append(found.Scores, s)
		if i == 0 || quality(s) > quality(found.Best) {
			found.Best, found.Chosen = s, s.Setting
		}
	}
	return found
}

// path fits the grid to the training rows of a fold, from strong to weak penalties,
// and tests every point on the held-out rows.
func path(ctx context.Context, s *Set, f stratify.Fold, c Config, outer, inner int) ([]Point, error) {
	points, known := make([]Point, len(c.Grid)), make([]bool, len(c.Grid))
	left := 0 // how much of the path has to be computed
	for i, at := range c.Grid {
		place := Place{outer, inner, at}
		if c.Points != nil {
			points[i], known[i] = c.Points.Known(c.Seed, place)
		}
		if points[i].Place = place; !known[i] {
			left = i + 1
		}
	}
	if left == 0 {
		return points, nil
	}
	fits, err := newFitter(ctx, s, f.Train, c)
	if err != nil {
		return nil, err
	}
	var start []float64
	for i, at := range c.Grid[:left] {
		if known[i] && (points[i].W != nil || c.Solver != "lbfgs") {
			start, points[i].W = points[i].W, nil
			continue
		}
		m, x, report, err := fits.fit(ctx, at, start)
		if err != nil {
			return nil, err
		}
		start = x
		if known[i] {
			continue
		}
		p := Point{Place: points[i].Place, N: len(f.Test), Fit: report}
		if err := p.test(ctx, m, s, f.Test); err != nil {
			return nil, err
		}
		if points[i] = p; c.Points != nil {
			p.W = x
			if err := c.Points.Add(c.Seed, p); err != nil {
				return nil, err
			}
		}
	}
	return points, nil
}

// test counts the rows of each class that a model classifies correctly.
func (p *Point) test(ctx context.Context, m Model, s *Set, rows []int) error {
	k := len(s.Classes)
	scores := make([]float32, len(rows)*k)
	if err := m.Scores(ctx, scores, s, rows); err != nil {
		return err
	}
	p.Correct, p.Of = make([]int, k), make([]int, k)
	for i, c := range Predict(scores, k) {
		y := s.Y[rows[i]]
		p.Of[y]++
		if z := scores[i*k+c]; c == y && z == z { // no NaN
			p.Correct[y]++
		}
	}
	return nil
}

// tally adds up the points of a setting.
type tally struct{ correct, of []int }

func (t *tally) add(p Point, classes int) error {
	if len(p.Correct) != classes || len(p.Of) != classes {
		return fmt.Errorf("probe: a known point counts %d and %d classes, expected %d", len(p.Correct), len(p.Of), classes)
	}
	if t.of == nil {
		t.correct, t.of = make([]int, classes), make([]int, classes)
	}
	for c := range p.Of {
		t.correct[c] += p.Correct[c]
		t.of[c] += p.Of[c]
	}
	return nil
}

// score is the accuracy of a setting. Classes without held-out rows are left out of
// the mean per class.
func (t tally) score(at Setting) Score {
	s := Score{Setting: at}
	correct, of, classes := 0, 0, 0
	for c, n := range t.of {
		correct += t.correct[c]
		of += n
		if n > 0 {
			s.MeanPerClass += float64(t.correct[c]) / float64(n)
			classes++
		}
	}
	s.Top1 = float64(correct) / float64(of)
	s.MeanPerClass /= float64(classes)
	return s
}

// CrossValidate runs Select on the training rows of each fold, and scores its
// held-out rows by the classifier that comes of it: nested cross-validation.
func CrossValidate(ctx context.Context, s *Set, folds []stratify.Fold, c Config) (*OutOfFold, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	if err := s.checkFolds(folds); err != nil {
		return nil, err
	}
	k := len(s.Classes)
	out := &OutOfFold{Scores: make([]float32, s.N*k)}
	for i := range out.Scores {
		out.Scores[i] = float32(math.NaN())
	}
	for i, f := range folds {
		found, err := choose(ctx, s, f.Train, nil, c, i)
		if err != nil {
			return nil, err
		}
		scores := make([]float32, len(f.Test)*k)
		if err := found.Model.Scores(ctx, scores, s, f.Test); err != nil {
			return nil, err
		}
		for j, row := range f.Test {
			copy(out.Scores[row*k:], scores[j*k:(j+1)*k])
		}
		out.Folds = append(out.Folds, found)
	}
	return out, nil
}

// checkFolds refuses folds of which a row is trained on and tested on, or tested
// twice.
func (s *Set) checkFolds(folds []stratify.Fold) error {
	tested := make([]bool, s.N)
	for i, f := range folds {
		if len(f.Train) == 0 || len(f.Test) == 0 {
			return fmt.Errorf("probe: fold %d has %d training and %d test rows", i, len(f.Train), len(f.Test))
		}
		if _, err := s.rows(f.Train); err != nil {
			return err
		}
		if _, err := s.rows(f.Test); err != nil {
			return err
		}
		mine := make([]bool, s.N)
		for _, row := range f.Test {
			if tested[row] {
				return fmt.Errorf("probe: row %d is tested twice", row)
			}
			tested[row], mine[row] = true, true
		}
		for _, row := range f.Train {
			if mine[row] {
				return fmt.Errorf("probe: row %d is trained on and tested on", row)
			}
		}
	}
	return nil
}
