package finetune

import (
	"context"
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// featureLimit is the most bytes of features that are kept in memory.
const featureLimit = 4 << 30

// Features are what the head of a network reads, for each row of some data.
type Features struct {
	Width  int
	Splits [3]FeatureSplit // by Split
}

// FeatureSplit are the features of the rows of a split.
type FeatureSplit struct {
	Values []float32 // [rows, Width]; zeros for rows that could not be read
	Truth  []any     // of each row, as Data gives it
	Read   []bool    // whether the row could be read
}

// FeatureConfig says how features are computed. The zero value is the default.
type FeatureConfig struct {
	BatchSize int            // 0: 32
	Size      [2]int         // height and width of images; zero: those of the Spec
	Report    func(done int) // is told after each batch how many rows are done; nil: none
}

// ErrFeatures says that the features of a network cannot be computed: its Spec names
// no head, or they need more memory than is sensible.
var ErrFeatures = errors.New("the features cannot be computed")

// ComputeFeatures loads a network's weights into an executor and computes what its
// head reads for all rows of data, in inference mode: batch norms normalise by their
// running statistics, dropouts pass their input on, and rows are not augmented
// (Data.Load is called with epoch -1).
func ComputeFeatures(ctx context.Context, net *graph.Network, x Executor, data Data, c FeatureConfig) (f *Features, err error) {
	defer recovered(&err)
	size := orDefault(c.BatchSize, 32)
	value, width := net.HeadInput()
	if value == "" {
		return nil, fmt.Errorf("finetune: the network has no linear head: %w", ErrFeatures)
	}
	if n := dataRows(data); n*width > featureLimit/4 {
		return nil, fmt.Errorf("finetune: %d rows of %d features are more than %d bytes: %w", n, width, int64(featureLimit), ErrFeatures)
	}
	p, err := featureProgram(net, graph.Config{Batch: size, Size: c.Size})
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fmt.Errorf("finetune: %q is not of shape [%d,%d]: %w", value, size, width, ErrFeatures)
	}
	if err := Load(net, x); err != nil {
		return nil, err
	}
	return computeFeatures(ctx, data, width, size, -1, func(s Split, b *Batch, out []float32) error {
		pass := &Pass{Batch: b, Split: s, programs: []*graph.Program{p}, x: x}
		return pass.Run(p, nil, map[string][]float32{graph.Features: out})
	}, func(_ Split, _ *Batch, done int) error {
		if c.Report != nil {
			c.Report(done)
		}
		return nil
	})
}

// dataRows is the number of rows of all splits.
func dataRows(data Data) (n int) {
	for _, s := range []Split{Training, Validation, Test} {
		n += data.Rows(s)
	}
	return n
}

// featureProgram computes the head's input in inference mode; nil if that is not of
// shape [batch,width].
func featureProgram(net *graph.Network, c graph.Config) (*graph.Program, error) {
	value, width := net.HeadInput()
	p, err := net.Program(graph.Config{Batch: c.Batch, Size: c.Size}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		return graph.Value{}, []graph.Named{{Name: graph.Features, Value: b.Value(value)}}
	})
	if err != nil || !p.Nodes[p.Outputs[0].Node].Shape.Equal(graph.Shape{c.Batch, width}) {
		return nil, err
	}
	return p, nil
}

// computeFeatures goes over all rows of data. run writes the features of a batch to
// out [size,width]; done is called after each batch with the number of rows so far.
func computeFeatures(ctx context.Context, data Data, width, size, epoch int, run func(s Split, b *Batch, out []float32) error, done func(s Split, b *Batch, rows int) error) (*Features, error) {
	f, rows := &Features{Width: width}, 0
	out := make([]float32, size*width)
	for s := range f.Splits {
		n, split := data.Rows(Split(s)), &f.Splits[s]
		split.Values, split.Truth, split.Read = make([]float32, n*width), make([]any, n), make([]bool, n)
		for b, err := range batches(ctx, data, Split(s), allRows(n), epoch, size) {
			if err != nil {
				return nil, err
			}
			if err := run(Split(s), b, out); err != nil {
				return nil, err
			}
			for i, row := range b.Rows {
				copy(split.Values[row*width:][:width], out[i*width:][:width])
				split.Truth[row], split.Read[row] = b.Truth[i], true
			}
			rows += b.N() + len(b.Missed)
			if err := done(Split(s), b, rows); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}
