package cli

import (
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
)

// TestDetectResultLine holds that figures of one seed of several are not taken for those
// of all.
func TestDetectResultLine(t *testing.T) {
	one := func(seed uint64, ap float64) *finetune.Trial {
		t := &finetune.Trial{Seed: seed}
		t.Best = &finetune.Score{Epoch: 2, N: 9, Figures: []finetune.Figure{{Name: "bbox_ap", Value: ap}}}
		return t
	}
	f := &detectResult{Protocol: "val", Metric: "bbox", Seeds: []*finetune.Trial{one(4, .5), one(5, .3)}, AP: .4, SD: .1}
	if got := f.line(); !strings.Contains(got, "val box AP 50.0") || !strings.Contains(got, "of epoch 2 of seed 4; box AP 40.0 ± 10.0 over 2 seeds (of the images") {
		t.Error(got)
	}
	f.Seeds = f.Seeds[:1]
	if got := f.line(); strings.Contains(got, "seed") || !strings.Contains(got, "of epoch 2 (of the images") {
		t.Error(got)
	}
}
