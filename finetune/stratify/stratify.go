package stratify

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Labels describes the rows that are to be split.
type Labels struct {
	Y       []int    // [N], the class of each row, 0 to len(Classes)-1, or -1 for no label
	Classes []string // names of the classes
	Groups  []string // nil, or [N], the group of each row; a row of group "" is a group by itself
}

// Fold is a division of rows into training rows and held-out test rows, both in
// ascending order.
type Fold struct{ Train, Test []int }

// Error says that rows cannot be split as asked, because there are too few labelled
// rows, too few rows of a class, or too few groups.
type Error struct{ reason string }

// Error says what there are too few of.
func (e *Error) Error() string { return e.reason }

func tooFew(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Rows checks that rows are in range, distinct and labelled, and returns them; nil
// stands for all labelled rows. A row without a label, or no rows at all, is an
// *Error.
func (l Labels) Rows(rows []int) ([]int, error) {
	if rows == nil {
		for i, y := range l.Y {
			if y >= 0 {
				rows = append(rows, i)
			}
		}
	}
	if len(rows) == 0 {
		return nil, tooFew("no row has a label")
	}
	seen := make([]bool, len(l.Y))
	for _, i := range rows {
		if i < 0 || i >= len(l.Y) || seen[i] {
			return nil, fmt.Errorf("row %d of %d, given twice or not there", i, len(l.Y))
		}
		seen[i] = true
		if l.Y[i] < 0 {
			return nil, tooFew("row %d has no label", i)
		}
	}
	return rows, nil
}

// Folds splits rows (nil: all labelled ones) into k folds, each of which holds out
// another part, or into as many as there are groups if these are fewer. A class that
// occurs in one group only is an *Error: when held out, it could not be learned.
func Folds(l Labels, rows []int, k int, seed uint64) ([]Fold, error) {
	rows, err := l.Rows(rows)
	if err != nil {
		return nil, err
	}
	units := l.units(rows, seed)
	if k < 2 || len(units) < 2 {
		return nil, tooFew("%d folds of %d rows in %d groups", k, len(rows), len(units))
	}
	for c, n := range unitsOfClass(units, len(l.Classes)) {
		if n == 1 {
			return nil, tooFew("class %q has one row or one group, expected two at least, to learn from one and test on the other", l.Classes[c])
		}
	}
	return l.folds(units, min(k, len(units))), nil
}

// InnerFolds splits training rows into folds to choose settings by: k of them, or
// fewer if there are fewer groups. A class that occurs in one group only is never
// held out. It is an *Error if no row can be held out.
func InnerFolds(l Labels, rows []int, k int, seed uint64) ([]Fold, error) {
	rows, err := l.Rows(rows)
	if err != nil {
		return nil, err
	}
	units := l.units(rows, seed)
	if k = min(k, len(units)); k >= 2 {
		folds := l.folds(units, k)
		if slices.ContainsFunc(folds, func(f Fold) bool { return len(f.Test) > 0 }) {
			return folds, nil
		}
	}
	return nil, tooFew("%d rows in %d groups: no class has two", len(rows), len(units))
}

// Holdout holds out a fraction of the rows (nil: all labelled ones), of each class
// its share, rounded. If the fraction is less than one row a class, one row or group of
// every class that has two is held out. A fraction that leaves either part empty is an
// *Error.
func Holdout(l Labels, rows []int, fraction float64, seed uint64) (Fold, error) {
	rows, err := l.Rows(rows)
	if err != nil {
		return Fold{}, err
	}
	var f Fold
	if fraction > 0 && fraction < 1 {
		units := l.units(rows, seed)
		parts := deal(units, []float64{1 - fraction, fraction}, len(l.Classes))
		if fraction*float64(len(rows)) < float64(len(l.Classes)) {
			holdOneOfEach(units, parts, len(l.Classes))
		}
		for i, part := range parts {
			if part == 1 {
				f.Test = append(f.Test, units[i].rows...)
			} else {
				f.Train = append(f.Train, units[i].rows...)
			}
		}
	}
	if len(f.Train) == 0 || len(f.Test) == 0 {
		return Fold{}, tooFew("%v of %d rows cannot be held out, so that every class is in both parts", fraction, len(rows))
	}
	slices.Sort(f.Train)
	slices.Sort(f.Test)
	return f, nil
}

// PerClass draws n rows of each class that occurs among rows (nil: all labelled
// ones), and returns them in ascending order. Draws with the same seed are nested: a
// smaller n gives a subset. Groups are not kept together. A class with fewer than n
// rows is an *Error.
func PerClass(l Labels, rows []int, n int, seed uint64) ([]int, error) {
	rows, err := l.Rows(rows)
	if err != nil {
		return nil, err
	}
	var drawn []int
	have := make([]int, len(l.Classes))
	for _, i := range shuffled(rows, seed) {
		have[l.Y[i]]++
		if have[l.Y[i]] <= n {
			drawn = append(drawn, i)
		}
	}
	for c, k := range have {
		if k > 0 && k < n {
			return nil, tooFew("class %q has %d rows, %d were asked for", l.Classes[c], k, n)
		}
	}
	slices.Sort(drawn)
	return drawn, nil
}

// shuffled returns rows in an order that depends only on the seed.
func shuffled(rows []int, seed uint64) []int {
	out := slices.Clone(rows)
	slices.Sort(out)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
