package finetune

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
)

// Split is a part of the data: to train, validate or test on.
type Split uint8

// The splits. Test rows are used once, to evaluate the best weights.
const (
	Training Split = iota
	Validation
	Test
)

func (s Split) String() string { return [...]string{"train", "val", "test"}[s] }

// Data is what a network is trained and evaluated on: rows, usually images with
// labels, in splits.
type Data interface {
	// Rows is the number of rows of a split, 0 if there is no such split.
	Rows(Split) int

	// Load fills b for the rows b.Rows: their inputs, usually images, and their truth,
	// if any. Training rows may be augmented, depending only on the row and the epoch,
	// counted from 0; in epoch -1 they are not. Load is called by one goroutine at a
	// time, not by Train's own.
	Load(ctx context.Context, s Split, epoch int, b *Batch) error
}

// Ordered is Data that decides in which order the training rows of an epoch, counted
// from 0, are visited, such as images of similar shapes one after the other. Order
// returns all of them. The same arguments give the same order.
type Ordered interface {
	Data
	Order(seed uint64, epoch int) []int
}

// Batch holds some rows of a split. Steps and Scorers must not keep one, as its
// memory is reused.
type Batch struct {
	Rows   []int                // row numbers
	Truth  []any                // for each row, what the task is to learn, such as a label, an int
	Inputs map[string][]float32 // by name of a program's input: the values of all rows, row-major; slices that Data puts here are not modified
	Missed []int                // row numbers of rows that could not be read and were left out

	memory map[string][]float32 // buffers of Inputs, reused
	unread []bool               // for each row, whether it could not be read
	room   int                  // number of rows that buffers have room for
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

// owns tells whether the values of an input lie in the batch's memory, not in
// memory that the data have put in Inputs.
func (b *Batch) owns(name string) bool {
	v, own := b.Inputs[name], b.memory[name]
	return len(v) > 0 && len(own) > 0 && &v[0] == &own[0]
}

// N is the number of rows.
func (b *Batch) N() int { return len(b.Rows) }

// Input returns the buffer of an input, [N, width], for Data.Load to fill.
func (b *Batch) Input(name string, width int) []float32 {
	if size := b.room * width; cap(b.memory[name]) < size {
		b.memory[name] = make([]float32, size)
	}
	b.Inputs[name] = b.memory[name][:b.N()*width]
	return b.Inputs[name]
}

// Miss reports that the i-th row cannot be read; it is left out of the batch.
func (b *Batch) Miss(i int) { b.unread[i] = true }

// compact removes the rows that could not be read.
func (b *Batch) compact() {
	if slices.Contains(b.unread, true) {
		for name, v := range b.Inputs {
			if !b.owns(name) {
				b.Inputs[name] = slices.Clone(v)
			}
		}
	}
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

// batches loads rows in order, one batch ahead in the background.
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
			for rest := rows; len(rest) > 0; {
				b := <-free // blocks until the loop below is done with a batch
				n := batchLen(data, s, rest, size)
				b.begin(rest[:n], size)
				rest = rest[n:]
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

// newRand returns the random numbers for one purpose and position (a step or an
// epoch), which do not depend on what was drawn before.
func newRand(seed uint64, purpose string, at int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(at)))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// order returns the rows of an epoch, shuffled.
func order(seed uint64, epoch, rows int) []int { return newRand(seed, "order", epoch).Perm(rows) }
