package stratify

import (
	"cmp"
	"slices"
)

// unit is a set of rows that stay together: a row, or the rows of a group.
type unit struct {
	rows    []int
	classes []share
}

// share is the number of a unit's rows of a class.
type share struct{ class, n int }

// units returns the units, larger ones first, otherwise in the order of the seed.
func (l Labels) units(rows []int, seed uint64) []unit {
	var units []unit
	of := map[string]int{}
	for _, i := range shuffled(rows, seed) {
		at, known := len(units), false
		if l.Groups != nil && l.Groups[i] != "" {
			if at, known = of[l.Groups[i]]; !known {
				at = len(units)
				of[l.Groups[i]] = at
			}
		}
		if !known {
			units = append(units, unit{})
		}
		u := &units[at]
		u.rows = append(u.rows, i)
		c := slices.IndexFunc(u.classes, func(s share) bool { return s.class == l.Y[i] })
		if c < 0 {
			c, u.classes = len(u.classes), append(u.classes, share{class: l.Y[i]})
		}
		u.classes[c].n++
	}
	slices.SortStableFunc(units, func(a, b unit) int { return cmp.Compare(len(b.rows), len(a.rows)) })
	return units
}

// unitsOfClass counts, for each class, the units that have rows of it.
func unitsOfClass(units []unit, classes int) []int {
	n := make([]int, classes)
	for _, u := range units {
		for _, c := range u.classes {
			n[c.class]++
		}
	}
	return n
}

// deal assigns each unit to a part, in order: to the part that has the least of the
// unit's classes relative to its share, and among equals to the smallest part
// relative to its share.
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

// holdOneOfEach moves units from part 0 to part 1, the smallest ones first, until part 1
// has a unit of every class, as far as part 0 keeps one of each.
func holdOneOfEach(units []unit, parts []int, classes int) {
	var have [2][]int // units of each class, by part
	for part := range have {
		have[part] = make([]int, classes)
	}
	for i, u := range units {
		for _, c := range u.classes {
			have[parts[i]][c.class]++
		}
	}
	for i, u := range slices.Backward(units) {
		wanted := slices.ContainsFunc(u.classes, func(c share) bool { return have[1][c.class] == 0 })
		last := slices.ContainsFunc(u.classes, func(c share) bool { return have[0][c.class] == 1 })
		if parts[i] == 1 || !wanted || last {
			continue
		}
		parts[i] = 1
		for _, c := range u.classes {
			have[0][c.class]--
			have[1][c.class]++
		}
	}
}

// folds deals units into k parts, each of which is held out in one fold. A unit that
// is the only one of a class is never held out.
func (l Labels) folds(units []unit, k int) []Fold {
	shares := make([]float64, k)
	for f := range shares {
		shares[f] = 1 / float64(k)
	}
	count := unitsOfClass(units, len(l.Classes))
	part := deal(units, shares, len(l.Classes))
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
