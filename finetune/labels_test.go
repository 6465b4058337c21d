package finetune_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
)

func TestTargets(t *testing.T) {
	var x spy
	var got []float32
	x.before = func(p *graph.Program, in map[string][]float32) {
		if training(p) {
			got = append(got, in[classify.Targets]...)
		}
	}
	mixed := 0
	trainTask(t, toyNet(t, 0), &x, classify.Task{LabelSmoothing: .3, Mix: func(r *rand.Rand, images, targets []float32, n int) {
		mixed = n
		if len(images) != 3*pixels || len(targets) != 3*classes {
			t.Errorf("%d pixels, %d targets", len(images), len(targets))
		}
		targets[0] *= 2
	}}, &toy{rows: [3]int{3, 0, 0}}, finetune.Config{Epochs: 1, BatchSize: 4, Frozen: true})
	if len(got) != 4*classes || mixed != 3 {
		t.Fatalf("%d targets, %d mixed", len(got), mixed)
	}
	for i, row := range finetune.Order(0, 0, 3) {
		for k := range classes {
			want := .1 / 3
			if k == row%classes {
				want = .8 / 3
			}
			if i == 0 && k == 0 {
				want *= 2
			}
			if math.Abs(float64(got[i*classes+k])-want) > 1e-7 {
				t.Errorf("target [%d,%d] = %v, want %v", i, k, got[i*classes+k], want)
			}
		}
	}
	if !slices.Equal(got[3*classes:], make([]float32, classes)) {
		t.Errorf("padding has targets %v", got[3*classes:])
	}
}

// Classes that the head does not have are an error.
func TestLabels(t *testing.T) {
	for _, s := range []finetune.Split{finetune.Training, finetune.Validation} {
		d := &mislabelled{toy{rows: [3]int{8, 8, 0}}, s}
		_, err := finetune.Train(context.Background(), toyNet(t, 0), &spy{}, classify.Task{}, d, finetune.Config{Epochs: 1, BatchSize: 4})
		if err == nil || !strings.Contains(err.Error(), "row 5 of split "+s.String()+" is of class 7") {
			t.Errorf("error %v", err)
		}
	}
}

// mislabelled has a row of a class that the head does not have.
type mislabelled struct {
	toy
	split finetune.Split
}

func (d *mislabelled) fill(ctx context.Context, s finetune.Split, rows []int, epoch int, dst []float32, labels []int) error {
	err := d.toy.fill(ctx, s, rows, epoch, dst, labels)
	if i := slices.Index(rows, 5); i >= 0 && s == d.split {
		labels[i] = 7
	}
	return err
}

func (d *mislabelled) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	return load(ctx, d, s, epoch, b)
}
