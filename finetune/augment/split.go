package augment

import (
	"fmt"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/stratify"
)

// Split is a part of the data.
type Split = finetune.Split

// The splits, as finetune has them.
const (
	Training   = finetune.Training
	Validation = finetune.Validation
	Test       = finetune.Test
)

// assignRows makes the decodable samples rows of their splits: those with a label,
// or all with Config.Unlabelled. Samples without a split are training samples. If
// there are no validation samples, a fraction of each class's training samples is
// held out for validation; samples of one group stay together.
func (d *Data) assignRows(failed map[string]bool, fraction float64, seed uint64) error {
	all := d.listing.Samples
	of := map[string]Split{"": Training, "train": Training, "val": Validation, "test": Test}
	labels, groups := make([]int, len(all)), make([]string, len(all))
	for i := range all {
		s := &all[i]
		labels[i], groups[i] = s.Label, s.Group
		switch {
		case failed[s.Path]:
		case s.Label < 0 && !d.config.Unlabelled:
			d.unlabelled++
		default:
			split := of[s.Split]
			d.rows[split] = append(d.rows[split], i)
		}
	}
	if len(d.rows[Training]) == 0 {
		first := ""
		if f := d.check.Failed; len(f) > 0 {
			first = fmt.Sprintf("; the first unusable one is %q: %s", f[0].Path, f[0].Reason)
		}
		return fmt.Errorf("augment: no images to train on (%d to validate, %d to test, %d unusable, %d without a class)%s: %w",
			len(d.rows[Validation]), len(d.rows[Test]), len(failed), d.unlabelled, first, featurize.ErrData)
	}
	if len(d.rows[Validation]) > 0 || fraction < 0 {
		return nil
	}
	by := stratify.Labels{Y: labels, Classes: d.listing.Classes, Groups: groups}
	fold, err := stratify.Holdout(by, d.rows[Training], fraction, seed)
	if err != nil {
		return fmt.Errorf("augment: samples to validate on: %w: %w", err, featurize.ErrData)
	}
	d.rows[Training], d.rows[Validation], d.heldOut = fold.Train, fold.Test, true
	if !(Policy{}).preparesLike(d.config.Policy) { // the cache has them as prepared for training
		for _, i := range fold.Test {
			if m := d.cache[i].Swap(nil); m != nil {
				d.cacheRoom.Add(int64(len(m.Pix)))
			}
		}
	}
	return nil
}
