package probe

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// Grid is the default grid of a solver, from strong to weak penalties and from many
// neighbours to few; nil for a name that is not among Solvers.
func Grid(solver string) []Setting {
	var grid []Setting
	switch solver {
	case "lbfgs":
		for _, l := range []float64{1, .1, .01, 1e-3, 1e-4, 1e-5} {
			grid = append(grid, Setting{Lambda: l})
		}
	case "sgd":
		for _, l := range []float64{1, .1, .01, 1e-3, 1e-4, 1e-5} {
			grid = append(grid, Setting{Lambda: l, Rate: .3}, Setting{Lambda: l, Rate: 3})
		}
	case "ridge":
		for _, l := range []float64{10, 1, .1, .01, 1e-3, 1e-4} {
			grid = append(grid, Setting{Lambda: l})
		}
	case "knn":
		for _, k := range []int{50, 20, 10, 5, 1} {
			grid = append(grid, Setting{K: k, Metric: "cosine"}, Setting{K: k, Metric: "l2"})
		}
	}
	return grid
}

// complete checks a Config and sets its defaults.
func (c Config) complete() (Config, error) {
	if c.Solver == "" {
		c.Solver = "lbfgs"
	}
	if !slices.Contains(Solvers, c.Solver) {
		return c, fmt.Errorf("probe: solver %q, expected one of %q", c.Solver, Solvers)
	}
	if c.Grid == nil {
		c.Grid = Grid(c.Solver)
	}
	if c.Folds == 0 {
		c.Folds = 5
	}
	if c.Epochs == 0 {
		c.Epochs = 30
	}
	if len(c.Grid) == 0 || c.Folds < 2 || c.Epochs < 1 {
		return c, fmt.Errorf("probe: a grid of %d settings, %d folds and %d epochs, expected 1, 2 and 1 at least", len(c.Grid), c.Folds, c.Epochs)
	}
	c.Grid = slices.Clone(c.Grid)
	slices.SortStableFunc(c.Grid, func(a, b Setting) int {
		return cmp.Or(cmp.Compare(b.Lambda, a.Lambda), cmp.Compare(b.K, a.K))
	})
	for _, at := range c.Grid {
		if err := at.check(c.Solver); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (at Setting) check(solver string) error {
	positive := func(x float64) bool { return x > 0 && !math.IsInf(x, 1) }
	switch {
	case solver == "knn" && at.K < 1:
		return fmt.Errorf("probe: %d neighbours, expected 1 at least", at.K)
	case solver == "knn" && at.Metric != "cosine" && at.Metric != "l2":
		return fmt.Errorf(`probe: metric %q, expected "cosine" or "l2"`, at.Metric)
	case solver != "knn" && !positive(at.Lambda):
		return fmt.Errorf("probe: a penalty of %v, expected more than 0", at.Lambda)
	case solver == "sgd" && !positive(at.Rate):
		return fmt.Errorf("probe: a learning rate of %v, expected more than 0", at.Rate)
	}
	return nil
}

// fitter fits settings to the training rows that it was made for. fit begins at
// start, nil for the first setting of a path, and returns where the next one begins.
type fitter interface {
	fit(ctx context.Context, at Setting, start []float64) (Model, []float64, Report, error)
}

func newFitter(ctx context.Context, s *Set, rows []int, c Config) (fitter, error) {
	t, err := newTraining(ctx, s, rows, c.Balanced)
	if err != nil {
		return nil, err
	}
	switch c.Solver {
	case "ridge":
		return newRidge(ctx, t)
	case "knn":
		return nearest{t}, nil
	case "sgd":
		return descent{t, c.Epochs, c.Seed}, nil
	}
	k, err := newSketch(ctx, t, sketchRank)
	return regression{t, k}, err
}

const (
	sketchRank = 96   // how many directions of the features are preconditioned
	tolerance  = 1e-7 // of L-BFGS, relative to the objective
)

// regression is logistic regression by L-BFGS.
type regression struct {
	*training
	sketch *sketch
}

func (r regression) fit(ctx context.Context, at Setting, start []float64) (Model, []float64, Report, error) {
	k := len(r.classes)
	x := make([]float64, k*(r.D+1))
	if start != nil && len(start) != len(x) {
		return nil, nil, Report{}, fmt.Errorf("probe: a path goes on from %d weights, expected %d", len(start), len(x))
	}
	copy(x, start)
	report, err := minimise(ctx, &logistic{r.training, r.sketch, at.Lambda}, x, tolerance)
	if err != nil {
		return nil, nil, report, err
	}
	r.fold(x[:k*r.D], x[k*r.D:])
	return newHead(r.training, r.head, r.shift, untrainedLogit), x, report, nil
}

// Fit fits one setting to rows (nil: all labelled rows).
func Fit(ctx context.Context, s *Set, rows []int, at Setting, c Config) (Model, Report, error) {
	c.Grid = []Setting{at}
	c, err := c.complete()
	if err != nil {
		return nil, Report{}, err
	}
	f, err := newFitter(ctx, s, rows, c)
	if err != nil {
		return nil, Report{}, err
	}
	m, _, report, err := f.fit(ctx, at, nil)
	if err == nil && report.Objective == math.MaxFloat64 {
		err = fmt.Errorf("probe: sgd diverges at a learning rate of %v", at.Rate)
	}
	return m, report, err
}
