package probe

import (
	"fmt"
	"slices"
)

// Protocol says what the figures of a probe are of.
type Protocol string

// The protocols.
const (
	Test            Protocol = "test" // of a test split or a test set, neither of which is trained on
	Validation      Protocol = "val"  // of the val split, where there is no test split
	CrossValidation Protocol = "cv"   // out of fold: each sample is judged by a classifier that was not trained on it
)

// Plan says which rows train a classifier, which choose its settings, and which
// it is judged on.
type Plan struct {
	Protocol Protocol
	Data     *Set  // with the rows to train on
	Train    []int // rows of Data; under CrossValidation those to judge on, too
	Val      []int // rows of Data to choose settings on; none: they are chosen in folds of Train
	Judged   *Set  // with the rows to judge on: Data, or a test set of its own
	Rows     []int // rows of Judged
	Caveats  Caveats
}

// Caveats are what a reader of the figures should know of a plan.
type Caveats struct {
	Unlabelled   int   // rows of Data without a label, which are left out
	OutsideTest  int   // rows of Data's test split, which are left out where another set is judged on
	TestOnly     bool  // of the test set only the test split is judged on
	Trained      bool  // the test set has the rows that are trained on
	Unlearned    []int // classes that are judged on and have no row to train on: all of it counts as wrong
	SharedGroups int   // groups with rows to train on and rows to judge on
}

// NewPlan takes the rows to judge on from a test set, where one is given: its
// test split, or all of it where it has no other rows or no test split. Else they
// are the test split of data; without one, its val split; without that, all of
// data is judged by cross-validation. Rows without a split are there to train on.
//
// A test set of other features or classes, and data without a labelled row to
// train or to judge on, are an ErrData.
func NewPlan(data, test *Set) (*Plan, error) {
	p := &Plan{Data: data, Judged: data}
	of, labelled := data.bySplit()
	p.Caveats.Unlabelled = data.N - labelled
	p.Train = append(slices.Clone(of[""]), of["train"]...)
	slices.Sort(p.Train)
	p.Val = of["val"]
	switch {
	case test != nil:
		if err := data.Fits(test); err != nil {
			return nil, err
		}
		p.Protocol, p.Judged, p.Caveats.OutsideTest = Test, test, len(of["test"])
		p.judgeSet()
	case len(of["test"]) > 0:
		p.Protocol, p.Rows = Test, of["test"]
	case len(p.Val) > 0 && len(p.Train) > 0:
		p.Protocol, p.Rows, p.Val = Validation, p.Val, nil
	default:
		p.Protocol, p.Train, p.Val = CrossValidation, append(p.Train, p.Val...), nil
		p.Rows = p.Train
	}
	switch {
	case len(p.Rows) == 0:
		return nil, fmt.Errorf("none of the samples to judge on has a label: %w", ErrData)
	case len(p.Train) == 0:
		return nil, fmt.Errorf("no sample to train on: all are of the test or val split: %w", ErrData)
	}
	if p.Protocol != CrossValidation {
		p.compareParts()
	}
	return p, nil
}

// bySplit are the labelled rows of each split, and how many there are.
func (d Data) bySplit() (of map[string][]int, labelled int) {
	of = map[string][]int{}
	for row, y := range d.Y {
		if y >= 0 {
			of[d.split(row)] = append(of[d.split(row)], row)
			labelled++
		}
	}
	return of, labelled
}

// judgeSet takes the rows of the test set: of its test split alone, as its others
// may be samples that are trained on, else all.
func (p *Plan) judgeSet() {
	of, labelled := p.Judged.bySplit()
	if own := of["test"]; len(own) > 0 && len(own) < labelled {
		p.Rows, p.Caveats.TestOnly = own, true
		return
	}
	for row, y := range p.Judged.Y {
		if y >= 0 {
			p.Rows = append(p.Rows, row)
		}
	}
	p.Caveats.Trained = p.Judged == p.Data || p.Judged.Digest() == p.Data.Digest()
}

// compareParts finds groups that have rows on both sides, and classes that are
// judged on and cannot be learned.
func (p *Plan) compareParts() {
	learned, groups := map[int]bool{}, map[string]bool{}
	for _, row := range p.Train {
		learned[p.Data.Y[row]] = true
	}
	for _, row := range slices.Concat(p.Train, p.Val) {
		groups[p.Data.group(row)] = true
	}
	shared := map[string]bool{}
	for _, row := range p.Rows {
		if g := p.Judged.group(row); g != "" && groups[g] {
			shared[g] = true
		}
		if y := p.Judged.Y[row]; !learned[y] && !slices.Contains(p.Caveats.Unlearned, y) {
			p.Caveats.Unlearned = append(p.Caveats.Unlearned, y)
		}
	}
	p.Caveats.SharedGroups = len(shared)
}
