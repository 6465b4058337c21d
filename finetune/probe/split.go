package probe

// Fold is a part of the rows held out, and the others.
type Fold struct{ Train, Test []int }

// Folds parts rows (nil: all that have a label) into k held-out parts, each with its share of every
// class as far as whole groups allow. The same seed gives the same folds. A
// class with fewer than two groups, or fewer groups than k in all, is an
// ErrData.
func Folds(d Data, rows []int, k int, seed uint64) ([]Fold, error) { return nil, nil }

// Holdout holds out a fraction of the rows, in the manner of Folds.
func Holdout(d Data, rows []int, fraction float64, seed uint64) (Fold, error) { return Fold{}, nil }

// PerClass draws n rows of each class, for probes with few labels. Subsets of
// one seed are nested: a smaller n is a part of a larger one. A class with fewer
// rows is an ErrData.
func PerClass(d Data, rows []int, n int, seed uint64) ([]int, error) { return nil, nil }
