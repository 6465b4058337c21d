package augment

import (
	"io"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/seen"
)

// SHA256 is that of the image file of a row.
func (d *Data) SHA256(s Split, row int) (sum seen.Sum) {
	copy(sum[:], d.check.Sums[d.rows[s][row]])
	return sum
}

// Seen is the record of a model that is trained on the data: on the training rows, with an
// epoch that is chosen by the validation rows.
func (d *Data) Seen() *seen.Record {
	var sums [2][]seen.Sum
	for _, s := range []Split{Training, Validation} {
		for row := range d.rows[s] {
			sums[s] = append(sums[s], d.SHA256(s, row))
		}
	}
	return seen.NewRecord(sums[Training], sums[Validation])
}

// WriteImages lists the images of all rows, split by split, as featurize.WriteImages does.
func (d *Data) WriteImages(w io.Writer) error {
	return featurize.WriteImages(w, func(yield func(featurize.UsedImage) bool) {
		for _, s := range []Split{Training, Validation, Test} {
			for row := range d.rows[s] {
				m := d.Sample(s, row)
				if !yield(featurize.UsedImage{Split: s.String(), Path: m.Path, Class: m.Class, SHA256: d.SHA256(s, row)}) {
					return
				}
			}
		}
	})
}
