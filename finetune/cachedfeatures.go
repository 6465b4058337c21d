package finetune

import (
	"context"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

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
	if dataRows(t.data)*width > featureLimit/4 {
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
	p, err := featureProgram(t.net, graph.Config{Batch: t.BatchSize, Size: t.Size})
	if err == nil && p != nil {
		t.features, t.config = p, head
	}
	return err
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
	held, err := computeFeatures(ctx, t.data, width, t.BatchSize, 0, func(s Split, b *Batch, out []float32) error {
		return t.pass(s, b, t.features).Run(t.features, nil, map[string][]float32{graph.Features: out})
	}, func(s Split, b *Batch, done int) error {
		t.miss(s, b)
		return t.report(Event{Kind: Cached, Rows: done})
	})
	if err != nil {
		return err
	}
	t.data = featureData{held}
	return nil
}

// featureData is a Data of features.
type featureData struct{ *Features }

func (d featureData) Rows(s Split) int { return len(d.Splits[s].Truth) }

func (d featureData) Load(_ context.Context, s Split, _ int, b *Batch) error {
	dst, from := b.Input(graph.Features, d.Width), &d.Splits[s]
	for i, row := range b.Rows {
		if row < 0 || row >= len(from.Truth) {
			return fmt.Errorf("finetune: row %d of split %s, which has %d", row, s, len(from.Truth))
		}
		copy(dst[i*d.Width:], from.Values[row*d.Width:][:d.Width])
		if b.Truth[i] = from.Truth[row]; !from.Read[row] {
			b.Miss(i)
		}
	}
	return nil
}
