package train_test

import (
	"context"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// spy is Data that remembers its batches.
type spy struct {
	*train.Data
	batches [3][][]int
}

func (s *spy) Load(ctx context.Context, split finetune.Split, epoch int, b *finetune.Batch) error {
	s.batches[split] = append(s.batches[split], slices.Clone(b.Rows))
	return s.Data.Load(ctx, split, epoch, b)
}

// TestTrainOnData trains on images of several shapes: batches do not mix canvases, and
// every validation image is scored once.
func TestTrainOnData(t *testing.T) {
	all := drawings(12)
	for i := range all {
		all[i].w, all[i].h = 40+20*(i%5%2), 60-20*(i%5%2)
		all[i].shapes, all[i].class = all[i].shapes[:1], all[i].class[:1]
	}
	root, m := cocoFolder(t, all, nil), core(t, nil)
	d := &spy{Data: openData(t, root, m, train.DataConfig{MinSizes: []int{48, 64}, MaxSize: 96, Flip: true})}
	if len(d.Canvases()) != 2 || d.Rows(finetune.Training) <= d.Len(finetune.Training) {
		t.Fatalf("%d rows of %d images on %v", d.Rows(finetune.Training), d.Len(finetune.Training), d.Canvases())
	}
	net, err := train.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	truth, err := d.Truth(context.Background(), finetune.Validation, false)
	if err != nil {
		t.Fatal(err)
	}
	var x tape.Executor[float32]
	defer x.Close()
	conventions := train.ConventionsOf(net.Spec().Detect)
	conventions.RoISamples, conventions.RoIPositives = 32, 16
	task := &train.Task{Conventions: conventions, Canvases: d.Canvases(), Truth: func(s finetune.Split) *coco.Dataset {
		if s == finetune.Validation {
			return truth
		}
		return nil
	}}
	r, err := finetune.Train(context.Background(), net, &x, task, d, finetune.Config{Epochs: 1, BatchSize: 2, Frozen: true, LearningRate: 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]int{}
	for s, batches := range d.batches {
		for _, rows := range batches {
			for _, row := range rows {
				if d.Group(finetune.Split(s), row) != d.Group(finetune.Split(s), rows[0]) {
					t.Errorf("%s: %v are of several canvases", finetune.Split(s), rows)
				}
				if finetune.Split(s) == finetune.Validation {
					seen[row]++
				}
			}
		}
	}
	if n := d.Len(finetune.Validation); r.Last.N != n || len(seen) != n || len(d.batches[finetune.Training]) != d.Rows(finetune.Training)/2 {
		t.Errorf("%d of %d images are scored; visits %v", r.Last.N, n, seen)
	}
}
