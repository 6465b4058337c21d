package finetune

import (
	"context"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// cacheLimit is how many bytes of features are held.
const cacheLimit = 4 << 30

// cut decides whether features are computed once and the head alone is run in
// each step: where batch norms are frozen, the head alone is trained, and rows
// stay what they are.
func (t *trainer) cut() error {
	value, width := t.net.HeadInput()
	if !t.Frozen || !t.Plain || t.Mix != nil || value == "" {
		return nil
	}
	for _, p := range t.net.Params() {
		if _, trained := t.config.Train(p); trained && !p.Head {
			return nil
		}
	}
	rows := 0
	for _, s := range []Split{Training, Validation, Test} {
		rows += t.data.Rows(s)
	}
	if rows*width > cacheLimit/4 {
		return nil
	}
	// A dropout in front of what the head reads makes features random.
	behind := t.config
	behind.FromFeatures = true
	random, err := t.drops(t.config)
	if err != nil {
		return err
	}
	if head, err := t.drops(behind); err != nil || head != random {
		return err
	}
	p, err := t.net.Program(graph.Config{Batch: t.Batch, Size: t.Size, Features: true})
	if err != nil {
		return err
	}
	for _, o := range p.Outputs {
		if o.Name == graph.Features && p.Nodes[o.Node].Shape.Equal(graph.Shape{t.Batch, width}) {
			t.features, t.config.FromFeatures = p, true
		}
	}
	return nil
}

// drops counts the dropouts of a step.
func (t *trainer) drops(c graph.Config) (n int, err error) {
	c.Batch = t.Batch
	p, err := t.net.Program(c)
	if err != nil {
		return 0, err
	}
	for _, i := range p.Leaves(graph.Input) {
		if strings.HasPrefix(p.Nodes[i].Name, graph.Masks) {
			n++
		}
	}
	return n, nil
}

// cache computes the features, which then are the data.
func (t *trainer) cache(ctx context.Context) error {
	if t.features == nil || t.stop != "" && t.data.Rows(Test) == 0 {
		return nil
	}
	_, width := t.net.HeadInput()
	held, done := &cached{width: width}, 0
	out := make([]float32, t.Batch*width)
	for s := range held.values {
		n := t.data.Rows(Split(s))
		held.values[s], held.labels[s] = make([]float32, n*width), make([]int, n)
		rows := make([]int, n)
		for i := range rows {
			rows[i], held.labels[s][i] = i, -1
		}
		for b, err := range batches(ctx, t.data, Split(s), rows, 0, t.Batch, t.width) {
			if err != nil {
				return err
			}
			in := t.inputs(t.features, b)
			if err := t.x.Run(context.Background(), t.features, in, map[string][]float32{graph.Features: out}); err != nil {
				return err
			}
			for i, row := range b.rows {
				copy(held.values[s][row*width:][:width], out[i*width:][:width])
				held.labels[s][row] = b.labels[i]
			}
			t.miss(Split(s), b)
			done += len(b.rows) + len(b.missed)
			if err := t.report(Event{Kind: Cached, Rows: done}); err != nil {
				return err
			}
		}
	}
	t.data, t.width = held, width
	return nil
}

// cached is features as data.
type cached struct {
	width  int
	values [3][]float32 // by split: [rows, width]
	labels [3][]int     // -1: could not be read
}

func (c *cached) Rows(s Split) int { return len(c.labels[s]) }

func (c *cached) Load(_ context.Context, s Split, rows []int, _ int, dst []float32, labels []int) error {
	if len(dst) != len(rows)*c.width {
		return fmt.Errorf("finetune: %d values for %d rows of %d features", len(dst), len(rows), c.width)
	}
	for i, row := range rows {
		copy(dst[i*c.width:], c.values[s][row*c.width:][:c.width])
		labels[i] = c.labels[s][row]
	}
	return nil
}
