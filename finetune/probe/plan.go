package probe

import (
	"fmt"
	"slices"
)

// Protocol says which rows a probe is judged on.
type Protocol string

// The protocols.
const (
	Test            Protocol = "test" // a test split or a test set, which takes no part in training
	Validation      Protocol = "val"  // the val split, if there is no test split
	CrossValidation Protocol = "cv"   // all rows: each is judged by a classifier that was trained without its fold
)

// Plan says which rows train a classifier, which rows its settings are chosen on, and
// which rows it is judged on.
type Plan struct {
	Protocol Protocol
	Data     *Set  // has the training rows
	Train    []int // training rows of Data; with CrossValidation they are judged on too
	Val      []int // rows of Data to choose settings on; if none, they are chosen by folds of Train
	Judged   *Set  // has the judged rows: Data, or a separate test set
	Rows     []int // judged rows of Judged
	Caveats  Caveats
}

// Caveats are facts about a plan that qualify its figures.
type Caveats struct {
	Unlabelled   int   // number of unlabelled rows of Data, which are left out
	OutsideTest  int   // number of rows of Data's test split that are left out because a separate test set is judged
	TestOnly     bool  // only the test split of the test set is judged
	Trained      bool  // the test set contains the training rows
	Unlearned    []int // classes with judged rows but no training rows: those rows all count as wrong
	SharedGroups int   // number of groups that have both training and judged rows
}

// NewPlan chooses the protocol. With a test set, its test split is judged, or all of
// it if it has no test split or no other rows. Without a test set, the judged rows are
// the test split of data or, if there is none, its val split; if there is none either,
// all of data is judged by cross-validation. Rows without a split are training rows.
//
// A test set with other features or classes, or the lack of labelled training or
// judged rows, is an ErrData.
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
		p.Protocol, p.Judged, p.Caveats.OutsideTest = Test, test.labelledAs(data.Classes), len(of["test"])
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

// bySplit returns the labelled rows of each split, and their total number.
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

// judgeSet chooses the judged rows of the test set: only its test split if it has
// other rows too, as those may be training samples; else all.
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

// compareParts finds groups with rows on both sides, and judged classes without
// training rows.
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
