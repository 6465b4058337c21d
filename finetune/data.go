package finetune

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"iter"
	"math/rand/v2"
)

// Split is a part of the data.
type Split uint8

// The splits. Rows to test are looked at once, by the best weights.
const (
	Training Split = iota
	Validation
	Test
)

func (s Split) String() string { return [...]string{"train", "val", "test"}[s] }

// Data is labelled images.
type Data interface {
	// Rows is the number of rows of a split, 0 for one that is not there.
	Rows(Split) int

	// Load puts images of rows into dst [len(rows),3,H,W], values in [0,1] and
	// channels in the Spec's order, and their classes into labels: -1 for an image
	// that cannot be read, which is left out. Training rows are augmented: what a
	// row is depends on itself and the epoch, from 0 on, and on nothing else. Load
	// is called by one goroutine at a time, which is not Train's.
	Load(ctx context.Context, s Split, rows []int, epoch int, dst []float32, labels []int) error
}

// batch is the rows of one step, those that could be read first. It is good
// until the next one is asked for.
type batch struct {
	images []float32 // [at least n, width]
	labels []int     // [n]
	rows   []int     // [n], their numbers
	n      int
	missed []int // rows that could not be read
}

// batches loads rows in their order, one batch ahead in the background; width
// is the number of values of an image. What a batch holds does not depend on
// when it is loaded.
func batches(ctx context.Context, data Data, s Split, rows []int, epoch, size, width int) iter.Seq2[*batch, error] {
	type loaded struct {
		*batch
		err error
	}
	return func(yield func(*batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		out, free, ended := make(chan loaded), make(chan *batch, 2), make(chan struct{})
		defer func() { cancel(); <-ended }()
		for range 2 {
			free <- &batch{images: make([]float32, size*width)}
		}
		go func() {
			defer close(ended)
			defer close(out)
			for from := 0; from < len(rows); from += size {
				b := <-free // one is on its way back, or the loop has ended
				err := b.load(ctx, data, s, rows[from:min(from+size, len(rows))], epoch, width)
				select {
				case out <- loaded{b, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		for l := range out {
			if !yield(l.batch, l.err) || l.err != nil {
				return
			}
			free <- l.batch
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// load fills the batch and moves up what follows rows that cannot be read.
func (b *batch) load(ctx context.Context, data Data, s Split, rows []int, epoch, width int) error {
	b.labels = append(b.labels[:0], make([]int, len(rows))...)
	if err := data.Load(ctx, s, rows, epoch, b.images[:len(rows)*width], b.labels); err != nil {
		return err
	}
	b.n, b.rows, b.missed = 0, append(b.rows[:0], rows...), b.missed[:0]
	for i, label := range b.labels {
		if label < 0 {
			b.missed = append(b.missed, rows[i])
			continue
		}
		if b.n < i {
			copy(b.images[b.n*width:][:width], b.images[i*width:][:width])
		}
		b.labels[b.n], b.rows[b.n] = label, rows[i]
		b.n++
	}
	b.labels, b.rows = b.labels[:b.n], b.rows[:b.n]
	return nil
}

// stream is the random numbers of one purpose and place: the same whatever else
// was drawn before.
func stream(seed uint64, purpose string, at int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(at)))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// order is the rows of an epoch.
func order(seed uint64, epoch, rows int) []int { return stream(seed, "order", epoch).Perm(rows) }
