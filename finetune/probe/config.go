package probe

// Solvers are the names for Config.Solver.
var Solvers = []string{"lbfgs", "sgd", "ridge", "knn"}

// Setting is a point of the grid of hyperparameters.
type Setting struct {
	Lambda float64 `json:"lambda,omitempty"` // lbfgs, sgd, ridge: the L2 penalty, see the package's objectives
	Rate   float64 `json:"rate,omitempty"`   // sgd: the first learning rate, for standardised features divided by the root of their number
	K      int     `json:"k,omitempty"`      // knn: number of neighbours
	Metric string  `json:"metric,omitempty"` // knn: "cosine" or "l2"
}

// Config says how to fit and how to choose settings. The zero value is the default.
type Config struct {
	Solver   string    // "": "lbfgs"
	Grid     []Setting // nil: Grid(Solver). Settings are tried from strong to weak penalties, in whatever order they are
	Balanced bool      // every class has the same weight, however many rows it has; settings are chosen by mean per-class accuracy
	Folds    int       // number of folds to choose by, without validation rows; 0: 5
	Epochs   int       // of sgd; 0: 30
	Seed     uint64    // of folds and of the order of rows in sgd
	Points   Points    // keeps finished grid points; nil: none
}

// Points stores finished grid points, in a file or a map, so that interrupted work can
// continue. All points of a store must be of the same data and Config, except for the
// seed.
type Points interface {
	// Known returns a point that was given to Add in this run or an earlier one. It is
	// called before a point is computed.
	Known(seed uint64, at Place) (Point, bool)
	// Add stores a point that was computed. An error ends the work.
	Add(seed uint64, p Point) error
}

// Place says which point of the work a Point is.
type Place struct {
	Outer   int     `json:"outer"` // fold of CrossValidate; -1 in Select
	Inner   int     `json:"inner"` // fold to choose by; -1 for validation rows
	Setting Setting `json:"setting"`
}

// Point is a finished grid point: a fit to some of the training rows, and its
// accuracy on the held-out others.
type Point struct {
	Place
	N       int       `json:"n"`       // number of held-out rows
	Correct []int     `json:"correct"` // correctly classified held-out rows, by class
	Of      []int     `json:"of"`      // held-out rows, by class
	Fit     Report    `json:"fit"`
	W       []float64 `json:"-"` // lbfgs: start of the next point of the path; if Known leaves it out, the path is computed again up to the first missing point
}

// Report describes a fit.
type Report struct {
	Objective   float64 `json:"objective"` // at the solution; 0 for knn
	Iterations  int     `json:"iterations"`
	Evaluations int     `json:"evaluations"` // passes over the training rows
	Converged   bool    `json:"converged"`
}

// Score is the accuracy of a setting on held-out rows of all folds.
type Score struct {
	Setting      Setting `json:"setting"`
	Top1         float64 `json:"top1"`
	MeanPerClass float64 `json:"mean_per_class"`
}

// Selected is the result of Select.
type Selected struct {
	Chosen Setting
	Scores []Score // of the grid, in the order in which it was tried
	Best   Score   // of Chosen, on the rows that it was chosen by
	Model  Model   // fitted to all training rows
	Fit    Report
}

// OutOfFold is the result of CrossValidate.
type OutOfFold struct {
	Scores []float32   // [N,K]; each row is scored by the model that was fitted without it; NaN for rows in no fold
	Folds  []*Selected // one for each fold
}
