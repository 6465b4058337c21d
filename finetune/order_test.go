package finetune_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// descending is data that are visited from the last row to the first.
type descending struct {
	toy
	loaded []int
}

func (d *descending) Order(_ uint64, epoch int) (rows []int) {
	for i := range d.Rows(finetune.Training) {
		rows = append(rows, d.Rows(finetune.Training)-1-i)
	}
	if epoch == 1 {
		slices.Reverse(rows)
	}
	return rows
}

func (d *descending) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	d.loaded = append(d.loaded, b.Rows...)
	return d.toy.Load(ctx, s, epoch, b)
}

// Data may decide in which order rows are visited.
func TestOrdered(t *testing.T) {
	d := &descending{toy: toy{rows: [3]int{5, 0, 0}}}
	var x tape.Executor[float32]
	trainTask(t, toyNet(t, 0), &x, classify.Task{}, d, finetune.Config{Epochs: 2, BatchSize: 2, Frozen: true})
	if want := []int{4, 3, 2, 1, 0, 0, 1, 2, 3, 4}; !slices.Equal(d.loaded, want) {
		t.Errorf("rows %v, want %v", d.loaded, want)
	}
}

// paired is data of which rows share a batch if they are both even, or both odd.
type paired struct {
	descending
	batches [][]int
}

func (d *paired) Order(_ uint64, _ int) []int { return []int{0, 2, 1, 3} }

func (d *paired) Group(_ finetune.Split, row int) int { return row % 2 }

func (d *paired) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	if s == finetune.Validation {
		d.batches = append(d.batches, slices.Clone(b.Rows))
	}
	return d.descending.Load(ctx, s, epoch, b)
}

// Evaluations never mix groups in a batch, and score all rows.
func TestGrouped(t *testing.T) {
	d := &paired{descending: descending{toy: toy{rows: [3]int{4, 7, 0}}}}
	var x tape.Executor[float32]
	r := trainTask(t, toyNet(t, 0), &x, classify.Task{}, d, finetune.Config{Epochs: 1, BatchSize: 3, Frozen: true})
	if want := [][]int{{0, 2, 4}, {6}, {1, 3, 5}}; !reflect.DeepEqual(d.batches, want) {
		t.Errorf("batches %v, want %v", d.batches, want)
	}
	if r.Best.N != 7 {
		t.Errorf("%d rows are scored", r.Best.N)
	}
}
