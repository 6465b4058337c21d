package finetune

import (
	"context"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// featureLimit is the most bytes of features that are kept in memory.
const featureLimit = 4 << 30

// startFromFeatures decides whether features are computed once, so that steps run
// only the head: if batch norms are frozen, only the head is trained, rows are not
// augmented, and the task allows it.
func (t *trainer) startFromFeatures() error {
	value, width := t.net.HeadInput()
	task, ok := t.task.(FeatureTask)
	if !t.Frozen || !t.Unaugmented || value == "" || !ok || !task.OnFeatures() {
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
	if rows*width > featureLimit/4 {
		return nil
	}
	// A dropout before the features would make them random.
	head := t.config
	head.Given = []graph.Given{{Value: value, Shape: graph.Shape{t.BatchSize, width}, Input: graph.Features}}
	random, _, err := t.inputs(t.config)
	if err != nil {
		return err
	}
	if n, images, err := t.inputs(head); err != nil || n != random || images {
		return err
	}
	p, err := t.net.Program(graph.Config{Batch: t.BatchSize, Size: t.Size}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		return graph.Value{}, []graph.Named{{Name: graph.Features, Value: b.Value(value)}}
	})
	if err != nil {
		return err
	}
	if p.Nodes[p.Outputs[0].Node].Shape.Equal(graph.Shape{t.BatchSize, width}) {
		t.features, t.config = p, head
	}
	return nil
}

// inputs counts the dropouts of a step, and tells whether it reads images.
func (t *trainer) inputs(c graph.Config) (dropouts int, images bool, err error) {
	c.Batch = t.BatchSize
	p, err := t.net.Program(c, nil)
	if err != nil {
		return 0, false, err
	}
	for _, i := range p.Leaves(graph.Input) {
		if strings.HasPrefix(p.Nodes[i].Name, graph.Masks) {
			dropouts++
		}
		images = images || p.Nodes[i].Name == graph.Images
	}
	return dropouts, images, nil
}

// computeFeatures computes the features, which then replace the data.
func (t *trainer) computeFeatures(ctx context.Context) error {
	if t.features == nil || t.stop != "" && t.data.Rows(Test) == 0 {
		return nil
	}
	_, width := t.net.HeadInput()
	held, done := &featureData{width: width}, 0
	out := make([]float32, t.BatchSize*width)
	for s := range held.values {
		n := t.data.Rows(Split(s))
		held.values[s], held.truth[s], held.read[s] = make([]float32, n*width), make([]any, n), make([]bool, n)
		for b, err := range batches(ctx, t.data, Split(s), allRows(n), 0, t.BatchSize) {
			if err != nil {
				return err
			}
			if err := t.pass(Split(s), b, t.features).Run(t.features, nil, map[string][]float32{graph.Features: out}); err != nil {
				return err
			}
			for i, row := range b.Rows {
				copy(held.values[s][row*width:][:width], out[i*width:][:width])
				held.truth[s][row], held.read[s][row] = b.Truth[i], true
			}
			t.miss(Split(s), b)
			done += b.N() + len(b.Missed)
			if err := t.report(Event{Kind: Cached, Rows: done}); err != nil {
				return err
			}
		}
	}
	t.data = held
	return nil
}

// featureData is a Data of features.
type featureData struct {
	width  int
	values [3][]float32 // by split: [rows, width]
	truth  [3][]any
	read   [3][]bool // whether the row could be read
}

func (d *featureData) Rows(s Split) int { return len(d.truth[s]) }

func (d *featureData) Load(_ context.Context, s Split, _ int, b *Batch) error {
	dst := b.Input(graph.Features, d.width)
	for i, row := range b.Rows {
		if row < 0 || row >= len(d.truth[s]) {
			return fmt.Errorf("finetune: row %d of split %s, which has %d", row, s, len(d.truth[s]))
		}
		copy(dst[i*d.width:], d.values[s][row*d.width:][:d.width])
		if b.Truth[i] = d.truth[s][row]; !d.read[s][row] {
			b.Miss(i)
		}
	}
	return nil
}
