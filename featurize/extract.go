package featurize

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"sync"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/featurize/seen"
)

// Network computes features, as a session of package onnx/runtime does. Run reads n
// images from src, uint8 [n,H,W,3] RGB, and fills each dst, one for each of the
// network's outputs, with n rows. Calls do not overlap.
type Network interface {
	Run(ctx context.Context, n int, src []uint8, dst ...[]float32) error
}

// Extractor computes the features of images, in memory that does not depend on their
// number: at most three batches are in work at a time. All fields but Workers must be
// set.
type Extractor struct {
	Network   Network // with one output
	Transform Transform
	BatchSize int // rows of every batch
	RowSize   int // numbers in a row of features
	Workers   int // goroutines that read and decode; 0: 1

	// Alter, unless nil, changes the pixels of a row, uint8 [H,W,3] RGB, before the
	// network reads them. Workers call it at once for different rows. An error makes the
	// image one that cannot be used.
	Alter func(row []uint8, s Sample) error
}

// Result is the outcome of a sample: features or an error.
type Result struct {
	Sample   Sample
	Features []float32 // [RowSize], valid until emit returns; nil if Err is set
	Sum      uint32    // CRC-32C of the image file
	SHA256   seen.Sum  // of the image file; zero if it could not be read
	Err      error     // why the file could not be read or decoded
	Warnings []string  // of the decoder
}

// errRead marks a sample whose file could not be read. In contrast to an image that
// does not decode, it is tried again the next time.
var errRead = errors.New("cannot be read")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crcOf(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// batch is a batch of samples, which workers decode and the network then runs. It is
// reused.
type batch struct {
	pixels  []uint8
	results []Result
	left    sync.WaitGroup // samples that are not decoded yet
}

// slot is a row of a batch.
type slot struct {
	batch *batch
	index int
}

// Extract calls emit with the results of each batch, in the order of the samples; an
// error of emit ends it. An image that cannot be read or decoded is a Result with an
// error, and no error of Extract. The last batch is filled up with zeros, so that the
// network always sees the same size.
//
// When ctx ends, the batch that the network is running is finished and emitted, so
// that nothing computed is lost, and the context's cause is returned.
func (e *Extractor) Extract(ctx context.Context, samples iter.Seq2[Sample, error], emit func([]Result) error) error {
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	const depth = 3
	free, full := make(chan *batch, depth), make(chan *batch, depth)
	for range depth {
		free <- &batch{pixels: make([]uint8, e.BatchSize*e.Transform.size())}
	}
	slots := make(chan slot, e.BatchSize)

	var workers sync.WaitGroup
	for range max(1, e.Workers) {
		workers.Go(func() { e.decode(slots) })
	}
	var feeder sync.WaitGroup
	feeder.Go(func() {
		defer close(slots)
		defer close(full)
		if err := e.feed(inner, samples, free, full, slots); err != nil {
			stop(err)
		}
	})

	features := make([]float32, e.BatchSize*e.RowSize)
	var failed error
	for b := range full {
		b.left.Wait()
		if failed == nil {
			failed = context.Cause(ctx)
		}
		if failed == nil {
			failed = e.finish(ctx, b, features, emit)
		}
		if failed != nil {
			stop(failed)
		}
		free <- b
	}
	feeder.Wait()
	workers.Wait()
	if failed != nil {
		return failed
	}
	return context.Cause(inner)
}

// feed fills batches with samples, until the samples or ctx end.
func (e *Extractor) feed(ctx context.Context, samples iter.Seq2[Sample, error], free <-chan *batch, full chan<- *batch, slots chan<- slot) error {
	var b *batch
	for s, err := range samples {
		if err != nil {
			return err
		}
		if b == nil {
			select {
			case b = <-free:
				b.results = b.results[:0]
			case <-ctx.Done():
				return nil
			}
		}
		b.results = append(b.results, Result{Sample: s})
		if len(b.results) == e.BatchSize {
			if ctx.Err() != nil {
				return nil
			}
			e.deal(b, full, slots)
			b = nil
		}
	}
	if b != nil && ctx.Err() == nil {
		e.deal(b, full, slots)
	}
	return nil
}

// deal hands the samples of a batch to the workers.
func (e *Extractor) deal(b *batch, full chan<- *batch, slots chan<- slot) {
	b.left.Add(len(b.results))
	clear(b.pixels[len(b.results)*e.Transform.size():])
	full <- b
	for i := range b.results {
		slots <- slot{b, i}
	}
}

// decode is a worker: it reads and decodes samples into their slots. The slot of a
// sample that fails is zeroed, so that the batch does not depend on earlier ones.
func (e *Extractor) decode(slots <-chan slot) {
	d := pixels.NewDecoder(e.Transform.Decode)
	defer d.Close()
	var resampler pixels.Resampler
	var image pixels.Image
	var data []byte
	for s := range slots {
		r, dst := &s.batch.results[s.index], e.Transform.row(s.batch.pixels, s.index)
		var err error
		if data, err = r.Sample.Read(data[:0]); err != nil {
			r.Err = fmt.Errorf("%w: %w", errRead, err)
		} else {
			r.Sum, r.SHA256 = crcOf(data), seen.SumOf(data)
			var info pixels.Info
			if info, err = d.Decode(&image, data); err == nil {
				err = resampler.Apply(dst, &image, e.Transform.Geometry)
			}
			if err == nil && e.Alter != nil {
				err = e.Alter(dst, r.Sample)
			}
			r.Err, r.Warnings = err, info.Warnings
		}
		if r.Err != nil {
			clear(dst)
		}
		s.batch.left.Done()
	}
}

// finish runs the network on a batch and emits the results. It does not stop when ctx
// ends.
func (e *Extractor) finish(ctx context.Context, b *batch, features []float32, emit func([]Result) error) error {
	good := false
	for i := range b.results {
		good = good || b.results[i].Err == nil
	}
	if good {
		if err := e.Network.Run(context.WithoutCancel(ctx), e.BatchSize, b.pixels, features); err != nil {
			return fmt.Errorf("featurize: batch that begins with %q: %w", b.results[0].Sample.Path, err)
		}
	}
	for i := range b.results {
		if b.results[i].Err == nil {
			b.results[i].Features = features[i*e.RowSize : (i+1)*e.RowSize]
		}
	}
	return emit(b.results)
}
