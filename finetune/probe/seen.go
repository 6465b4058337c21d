package probe

import (
	"iter"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/seen"
)

// use is a part of a plan's rows.
type use struct {
	split string
	of    *Set
	rows  []int
}

// uses are the rows that the classifier of Evaluation.Selected is fitted to, those that
// its setting is chosen on, and those that are judged. With CrossValidation, where it is
// fitted to all rows, the judged ones are the same.
func (p *Plan) uses(c EvaluateConfig) ([]use, error) {
	train, err := p.draw(p.Train, c.PerClass, c.Seed)
	if err != nil {
		return nil, err
	}
	all := []use{{"train", p.Data, train}, {"val", p.Data, p.Val}}
	if p.Protocol != CrossValidation {
		all = append(all, use{string(p.Protocol), p.Judged, p.Rows})
	}
	return all, nil
}

// sums are the known hashes of images.
func (u use) sums() (known []seen.Sum) {
	if u.of.SHA256 == nil {
		return nil
	}
	for _, row := range u.rows {
		if sum := u.of.SHA256[row]; sum != (seen.Sum{}) {
			known = append(known, sum)
		}
	}
	return known
}

// Seen is the record of the classifier of Evaluation.Selected, as far as images are known.
func (p *Plan) Seen(c EvaluateConfig) (*seen.Record, error) {
	all, err := p.uses(c)
	if err != nil {
		return nil, err
	}
	return seen.NewRecord(all[0].sums(), all[1].sums()), nil
}

// JudgedBy is the record of a classifier that was chosen among others by the judged rows.
func (p *Plan) JudgedBy() *seen.Record {
	return seen.NewRecord(nil, use{"", p.Judged, p.Rows}.sums())
}

// Images lists the images of the plan and what each is used for: "train", "val" to choose
// settings on, and the protocol for those that are judged.
func (p *Plan) Images(c EvaluateConfig) (iter.Seq[featurize.UsedImage], error) {
	all, err := p.uses(c)
	return func(yield func(featurize.UsedImage) bool) {
		for _, u := range all {
			for _, row := range u.rows {
				m := featurize.UsedImage{Split: u.split, Path: u.of.name(row), Class: u.of.Classes[u.of.Y[row]]}
				if u.of.SHA256 != nil {
					m.SHA256 = u.of.SHA256[row]
				}
				if !yield(m) {
					return
				}
			}
		}
	}, err
}
