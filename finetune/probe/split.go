package probe

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Fold is a part of the rows held out, and the others, each in ascending order.
type Fold struct{ Train, Test []int }

// Folds parts rows (nil: all that have a label) into k held-out parts, each with
// its share of every class as far as whole groups allow. The same seed gives the
// same folds. Fewer groups than k are an ErrData, and so is a class in fewer than
// two: held out, it could not be learned.
func Folds(d Data, rows []int, k int, seed uint64) ([]Fold, error) {
	rows, err := d.rows(rows)
	if err != nil {
		return nil, err
	}
	units := d.units(rows, seed)
	if k < 2 || k > len(units) {
		return nil, fmt.Errorf("probe: %d folds of %d rows in %d groups: %w", k, len(rows), len(units), ErrData)
	}
	for c, n := range in(units, len(d.Classes)) {
		if n == 1 {
			return nil, fmt.Errorf("probe: class %q has one row or one group, expected two at least, to learn from one and test on the other: %w", d.Classes[c], ErrData)
		}
	}
	return d.folds(units, k), nil
}

// choosing makes the folds of a choice: at most k, and a class in one unit
// stays in training.
func (d Data) choosing(rows []int, k int, seed uint64) ([]Fold, error) {
	units := d.units(rows, seed)
	k, n := min(k, len(units)), 0
	if k >= 2 {
		folds := d.folds(units, k)
		for _, f := range folds {
			n += len(f.Test)
		}
		if n > 0 {
			return folds, nil
		}
	}
	return nil, fmt.Errorf("probe: settings cannot be chosen on %d rows in %d groups: no class has two: %w", len(rows), len(units), ErrData)
}

// folds deals units into k parts. A class's only unit is in every training part.
func (d Data) folds(units []unit, k int) []Fold {
	shares := make([]float64, k)
	for f := range shares {
		shares[f] = 1 / float64(k)
	}
	count := in(units, len(d.Classes))
	part := deal(units, shares, len(d.Classes))
	folds := make([]Fold, k)
	for i, u := range units {
		only := slices.ContainsFunc(u.classes, func(c share) bool { return count[c.class] == 1 })
		for f := range folds {
			if part[i] == f && !only {
				folds[f].Test = append(folds[f].Test, u.rows...)
			} else {
				folds[f].Train = append(folds[f].Train, u.rows...)
			}
		}
	}
	for _, f := range folds {
		slices.Sort(f.Train)
		slices.Sort(f.Test)
	}
	return folds
}

// Holdout holds out a fraction of the rows (nil: all that have a label): of each
// class its share, rounded, as far as whole groups allow.
func Holdout(d Data, rows []int, fraction float64, seed uint64) (Fold, error) {
	rows, err := d.rows(rows)
	if err != nil {
		return Fold{}, err
	}
	var f Fold
	if fraction > 0 && fraction < 1 {
		units := d.units(rows, seed)
		for i, part := range deal(units, []float64{1 - fraction, fraction}, len(d.Classes)) {
			if part == 1 {
				f.Test = append(f.Test, units[i].rows...)
			} else {
				f.Train = append(f.Train, units[i].rows...)
			}
		}
	}
	if len(f.Train) == 0 || len(f.Test) == 0 {
		return Fold{}, fmt.Errorf("probe: %v of %d rows cannot be held out: %w", fraction, len(rows), ErrData)
	}
	slices.Sort(f.Train)
	slices.Sort(f.Test)
	return f, nil
}

// PerClass draws n rows of each class that rows (nil: all that have a label)
// has, for probes with few labels. Draws of one seed are nested: a smaller n is
// a part of a larger one. A class with fewer rows is an ErrData.
func PerClass(d Data, rows []int, n int, seed uint64) ([]int, error) {
	rows, err := d.rows(rows)
	if err != nil {
		return nil, err
	}
	var drawn []int
	have := make([]int, len(d.Classes))
	for _, i := range shuffled(rows, seed) {
		have[d.Y[i]]++
		if have[d.Y[i]] <= n {
			drawn = append(drawn, i)
		}
	}
	for c, k := range have {
		if k > 0 && k < n {
			return nil, fmt.Errorf("probe: class %q has %d rows, %d were asked for: %w", d.Classes[c], k, n, ErrData)
		}
	}
	slices.Sort(drawn)
	return drawn, nil
}

// unit is what no split parts: a row, or the rows of a group.
type unit struct {
	rows    []int
	classes []share
}

// share is how many of a unit's rows are of a class.
type share struct{ class, n int }

// units are in the order of the seed, the larger ones first.
func (d Data) units(rows []int, seed uint64) []unit {
	var units []unit
	of := map[string]int{}
	for _, i := range shuffled(rows, seed) {
		at, known := len(units), false
		if d.Groups != nil && d.Groups[i] != "" {
			if at, known = of[d.Groups[i]]; !known {
				at = len(units)
				of[d.Groups[i]] = at
			}
		}
		if !known {
			units = append(units, unit{})
		}
		u := &units[at]
		u.rows = append(u.rows, i)
		c := slices.IndexFunc(u.classes, func(s share) bool { return s.class == d.Y[i] })
		if c < 0 {
			c, u.classes = len(u.classes), append(u.classes, share{class: d.Y[i]})
		}
		u.classes[c].n++
	}
	slices.SortStableFunc(units, func(a, b unit) int { return cmp.Compare(len(b.rows), len(a.rows)) })
	return units
}

// in counts the units that each class is in.
func in(units []unit, classes int) []int {
	n := make([]int, classes)
	for _, u := range units {
		for _, c := range u.classes {
			n[c.class]++
		}
	}
	return n
}

// deal gives each unit to the part that lacks most of the unit's classes, for
// its share; among equals to the part that lacks most rows.
func deal(units []unit, shares []float64, classes int) []int {
	total := make([]int, classes)
	for _, u := range units {
		for _, c := range u.classes {
			total[c.class] += c.n
		}
	}
	have, size := make([]int, len(shares)*classes), make([]int, len(shares))
	to := make([]int, len(units))
	for i, u := range units {
		best, filled := 0, 0.0
		for f, s := range shares {
			full := 0.0
			for _, c := range u.classes {
				full += float64(c.n) * (float64(have[f*classes+c.class]) + float64(c.n)/2) / (float64(total[c.class]) * s)
			}
			if f == 0 || full < filled-1e-9 || full < filled+1e-9 && float64(size[f])/s < float64(size[best])/shares[best] {
				best, filled = f, full
			}
		}
		to[i] = best
		size[best] += len(u.rows)
		for _, c := range u.classes {
			have[best*classes+c.class] += c.n
		}
	}
	return to
}

// shuffled copies rows in an order that depends on the seed alone.
func shuffled(rows []int, seed uint64) []int {
	out := slices.Clone(rows)
	slices.Sort(out)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
