package probe

// Solvers are the names for Config.Solver.
var Solvers = []string{"lbfgs", "sgd", "ridge", "knn"}

// Setting is a point of a grid.
type Setting struct {
	Lambda float64 `json:"lambda,omitempty"` // lbfgs, sgd, ridge: the penalty, per row
	Rate   float64 `json:"rate,omitempty"`   // sgd: the first learning rate, for standardised features divided by the root of their number
	K      int     `json:"k,omitempty"`      // knn: neighbours
	Metric string  `json:"metric,omitempty"` // knn: "cosine" or "l2"
}

// Config says how to fit and how to choose. The zero value is the default.
type Config struct {
	Solver   string    // "": "lbfgs"
	Grid     []Setting // nil: Grid(Solver). Settings are tried from strong to weak penalties, in whatever order they are
	Balanced bool      // every class has the same weight, however many rows it has; settings are chosen by mean per-class accuracy
	Folds    int       // of the choice where no validation rows are given; 0: 5
	Epochs   int       // of sgd; 0: 30
	Seed     uint64    // of folds and of sgd's order of rows
	Points   Points    // where finished grid points are kept; nil: nowhere
}

// Points keeps the finished points of a choice, so that interrupted work goes on
// where it stopped: a file, or a map. The points of one store are of the same
// data and Config, but for the seed.
type Points interface {
	// Known returns what Add was given of a point, in this run or an earlier one.
	// It is asked before a point is computed.
	Known(seed uint64, at Place) (Point, bool)
	// Add is given each point that was computed. An error ends the work.
	Add(seed uint64, p Point) error
}

// Place says which point of the work a Point is.
type Place struct {
	Outer   int     `json:"outer"` // fold of CrossValidate, -1 in Select
	Inner   int     `json:"inner"` // fold of the choice, -1 for validation rows
	Setting Setting `json:"setting"`
}

// Point is a finished grid point: a fit on a part of the training rows, and how
// it does on the held-out rest.
type Point struct {
	Place
	N       int       `json:"n"`       // held-out rows
	Correct []int     `json:"correct"` // of them, by class
	Of      []int     `json:"of"`      // held-out rows, by class
	Fit     Report    `json:"fit"`
	W       []float64 `json:"-"` // lbfgs: where the next point of this path starts; Known may leave it out, then the path is computed again up to the first point that is missing
}

// Report tells of one fit.
type Report struct {
	Objective   float64 `json:"objective"` // at the solution; 0 for knn
	Iterations  int     `json:"iterations"`
	Evaluations int     `json:"evaluations"` // passes over the training rows
	Converged   bool    `json:"converged"`
}

// Score is a setting with what was found of it, over all its folds.
type Score struct {
	Setting      Setting `json:"setting"`
	Top1         float64 `json:"top1"`
	MeanPerClass float64 `json:"mean_per_class"`
}

// Selected is what Select found.
type Selected struct {
	Chosen Setting
	Scores []Score // of the grid, in the order in which it was tried
	Best   Score   // of Chosen, on the rows that it was chosen by
	Model  Model   // fitted to all training rows
	Fit    Report
}

// OutOfFold is what CrossValidate found.
type OutOfFold struct {
	Scores []float32   // [N,K] of s, each row's by the model that did not see it; NaN for rows in no fold
	Folds  []*Selected // with Models
}
