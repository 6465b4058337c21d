package train

import (
	"context"

	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune"
)

// ReadSums reads the image files of all rows, so that SHA256 and Seen know them.
func (d *Data) ReadSums(ctx context.Context) error {
	var list []int // of the set's images
	for _, rows := range d.rows {
		for _, p := range rows {
			list = append(list, p.at)
		}
	}
	sums := make([]seen.Sum, len(d.set.Images))
	onWorkers(ctx, cap(d.loaders), len(list), func(i int) {
		l := <-d.loaders
		defer func() { d.loaders <- l }()
		var err error
		if l.file, err = d.set.Images[list[i]].Read(l.file[:0]); err == nil { // else Load tells
			sums[list[i]] = seen.SumOf(l.file)
		}
	})
	if err := context.Cause(ctx); err != nil {
		return err
	}
	d.sums = sums
	return nil
}

// SHA256 is that of the image file of a row; zero before ReadSums, and of a file that it
// could not read.
func (d *Data) SHA256(s finetune.Split, row int) (sum seen.Sum) {
	if d.sums == nil {
		return sum
	}
	return d.sums[d.picture(s, row).at]
}

// Seen is the record of a detector that is trained on the data: on the training rows, with
// an epoch that is chosen by the validation rows. It is empty before ReadSums.
func (d *Data) Seen() *seen.Record {
	var sums [2][]seen.Sum
	for _, s := range []finetune.Split{finetune.Training, finetune.Validation} {
		for row := range d.Len(s) {
			if sum := d.SHA256(s, row); sum != (seen.Sum{}) {
				sums[s] = append(sums[s], sum)
			}
		}
	}
	return seen.NewRecord(sums[finetune.Training], sums[finetune.Validation])
}
