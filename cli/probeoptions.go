package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/finetune/probe"
)

// trainingOptions say how a classifier is trained and judged.
type trainingOptions struct {
	Solver   string   `flag:"solver"`
	Reg      []string `flag:"reg"`
	Folds    int      `flag:"folds"`
	Seeds    int      `flag:"seeds"`
	Seed     int      `flag:"seed"`
	PerClass int      `flag:"per-class"`
	Balanced bool     `flag:"balanced"`
}

func probeFlags(seeds int) []cli.Flag {
	return []cli.Flag{
		text("solver", "lbfgs", "the classifier: lbfgs and sgd are logistic regression; ridge is regression on one-hot labels; or knn"),
		&cli.StringSliceFlag{Name: "reg", Usage: "a `PENALTY` to try, per sample, or for knn a number of neighbours; may be repeated (default: a grid)"},
		number("folds", 5, "`N` folds of cross-validation and of the choice of settings"),
		number("seeds", seeds, "repeat with `N` seeds of folds and subsets"),
		number("seed", 0, "the first seed"),
		number("per-class", 0, "train on `N` samples of each class only; 0: on all"),
		toggle("balanced", "weigh classes alike, however many samples they have"),
	}
}

// config is what the options mean.
func (o trainingOptions) config() (c probe.EvaluateConfig, err error) {
	if !slices.Contains(probe.Solvers, o.Solver) {
		return c, &usageError{msg: fmt.Sprintf("--solver is %q, expected %s", o.Solver, strings.Join(probe.Solvers, ", "))}
	}
	for _, b := range []struct {
		flag           string
		v, least, most int
	}{{"folds", o.Folds, 2, 100}, {"seeds", o.Seeds, 1, 1000}, {"seed", o.Seed, 0, 1 << 30}, {"per-class", o.PerClass, 0, 1 << 30}} {
		if b.v < b.least || b.v > b.most {
			return c, &usageError{msg: fmt.Sprintf("--%s is %d, expected %d to %d", b.flag, b.v, b.least, b.most)}
		}
	}
	c.Solver, c.Balanced, c.Folds, c.Seed = o.Solver, o.Balanced, o.Folds, uint64(o.Seed)
	c.Seeds, c.PerClass = o.Seeds, o.PerClass
	c.Grid, err = o.grid()
	return c, err
}

// grid is the solver's grid with the penalties, or numbers of neighbours, that
// --reg gives; each goes with all rates or metrics.
func (o trainingOptions) grid() ([]probe.Setting, error) {
	all := probe.Grid(o.Solver)
	if len(o.Reg) == 0 {
		return all, nil
	}
	var grid []probe.Setting
	for _, text := range o.Reg {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x > 0) || x > 1e12 || o.Solver == "knn" && x != float64(int(x)) {
			return nil, &usageError{msg: fmt.Sprintf("--reg is %q, expected a penalty above 0, or for knn a number of neighbours", text)}
		}
		for _, s := range all {
			if o.Solver == "knn" {
				s.K = int(x)
			} else {
				s.Lambda = x
			}
			if !slices.Contains(grid, s) {
				grid = append(grid, s)
			}
		}
	}
	return grid, nil
}
