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

// Data is rows of images, in splits, and what is known of them.
type Data interface {
	// Rows is the number of rows of a split, 0 for one that is not there.
	Rows(Split) int

	// Load fills b for the rows that b.Rows names: their inputs, which are usually
	// images, and their truth, where there is any. Training rows are augmented: what
	// a row is depends on itself and the epoch, from 0 on, and on nothing else. Load
	// is called by one goroutine at a time, which is not Train's.
	Load(ctx context.Context, s Split, epoch int, b *Batch) error
}

// Batch is some rows of a split. One that a Step or a Scorer is given is good
// until the next one.
type Batch struct {
	Rows   []int                // the numbers of the rows
	Truth  []any                // of each row, what the task's data know of it; a label is an int
	Inputs map[string][]float32 // by the names of a program's inputs, row-major, all rows
	Missed []int                // numbers of rows that could not be read, and are left out

	memory map[string][]float32
	unread []bool
	room   int // rows that there is memory for
}

// NewBatch makes a batch for Data.Load.
func NewBatch(rows ...int) *Batch {
	b := &Batch{}
	b.begin(rows, len(rows))
	return b
}

func (b *Batch) begin(rows []int, room int) {
	n := len(rows)
	b.Rows, b.Missed, b.room = append(b.Rows[:0], rows...), nil, room
	b.Truth, b.unread = make([]any, n), make([]bool, n)
	b.Inputs = map[string][]float32{}
	if b.memory == nil {
		b.memory = map[string][]float32{}
	}
}

// N is the number of rows.
func (b *Batch) N() int { return len(b.Rows) }

// Input is the memory of an input, [N, width], for Data.Load to fill.
func (b *Batch) Input(name string, width int) []float32 {
	if size := b.room * width; cap(b.memory[name]) < size {
		b.memory[name] = make([]float32, size)
	}
	b.Inputs[name] = b.memory[name][:b.N()*width]
	return b.Inputs[name]
}

// Miss tells that the i-th row cannot be read: it is left out of the batch.
func (b *Batch) Miss(i int) { b.unread[i] = true }

// compact leaves out what cannot be read: the rows that follow move up.
func (b *Batch) compact() {
	n := 0
	for i, row := range b.Rows {
		if b.unread[i] {
			b.Missed = append(b.Missed, row)
			continue
		}
		if n < i {
			for _, v := range b.Inputs {
				width := len(v) / len(b.unread)
				copy(v[n*width:][:width], v[i*width:][:width])
			}
		}
		b.Rows[n], b.Truth[n] = row, b.Truth[i]
		n++
	}
	for name, v := range b.Inputs {
		b.Inputs[name] = v[:n*(len(v)/max(len(b.unread), 1))]
	}
	b.Rows, b.Truth = b.Rows[:n], b.Truth[:n]
}

// batches loads rows in their order, one batch ahead in the background. What a
// batch holds does not depend on when it is loaded.
func batches(ctx context.Context, data Data, s Split, rows []int, epoch, size int) iter.Seq2[*Batch, error] {
	type loaded struct {
		*Batch
		err error
	}
	return func(yield func(*Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		out, free, ended := make(chan loaded), make(chan *Batch, 2), make(chan struct{})
		defer func() { cancel(); <-ended }()
		for range 2 {
			free <- &Batch{}
		}
		go func() {
			defer close(ended)
			defer close(out)
			for from := 0; from < len(rows); from += size {
				b := <-free // one is on its way back, or the loop has ended
				b.begin(rows[from:min(from+size, len(rows))], size)
				err := data.Load(ctx, s, epoch, b)
				if err == nil {
					b.compact()
				}
				select {
				case out <- loaded{b, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		for l := range out {
			if !yield(l.Batch, l.err) || l.err != nil {
				return
			}
			free <- l.Batch
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
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
