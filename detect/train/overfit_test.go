package train

import (
	"context"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// often are scenes of which training sees each ten times in an epoch.
type often struct{ *scenes }

func (s often) Rows(split finetune.Split) int {
	if split == finetune.Training {
		return 10 * s.scenes.Rows(split)
	}
	return s.scenes.Rows(split)
}

func (s often) Load(ctx context.Context, split finetune.Split, epoch int, b *finetune.Batch) error {
	rows := b.Rows
	b.Rows = nil
	for _, row := range rows {
		b.Rows = append(b.Rows, row%len(s.targets))
	}
	defer func() { b.Rows = rows }()
	return s.scenes.Load(ctx, split, epoch, b)
}

// A small detector learns eight pictures by heart: an error of sign or of half a pixel,
// which a reference may share, does not let it.
func TestOverfit(t *testing.T) {
	if os.Getenv("RTX_LARGE") == "" {
		t.Skip("takes minutes: RTX_LARGE=1")
	}
	s := newScenes(8, true, detect.Size{H: 64, W: 64})
	for name, want := range map[string]map[string]float64{
		"fasterrcnn_tiny_fpn": {"bbox_ap": .9},
		"maskrcnn_tiny_fpn":   {"bbox_ap": .9, "segm_ap": .8},
		"retinanet_tiny_fpn":  {"bbox_ap": .9},
	} {
		t.Run(name, func(t *testing.T) {
			net := small(t, name)
			c := smallConfig(50)
			c.BatchSize, c.LearningRate, c.Clip, c.Patience, c.Optimizer = 4, .002, 0, -1, graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}
			c.Report = func(e finetune.Event) error {
				if e.Kind == finetune.Evaluated && e.Epoch%10 == 0 {
					t.Logf("epoch %d: loss %.3f, %v", e.Epoch, e.Score.TrainLoss, e.Score.Figures)
				}
				return nil
			}
			r, err := finetune.Train(context.Background(), net, machine(t), smallTask(net, s), often{s}, c)
			if err != nil {
				t.Fatal(err)
			}
			for figure, least := range want {
				if v := r.Best.Figure(figure); !(v > least) {
					t.Errorf("%s is %.3f, expected more than %v", figure, v, least)
				}
			}
		})
	}
}
