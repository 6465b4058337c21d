package train

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// Task is the training of a detector, for networks that Read has read, and for data
// whose truth is a *Target for each row. The images of a batch have one canvas.
type Task struct {
	Conventions Conventions   // the zero value: ConventionsOf the detector
	Canvases    []detect.Size // all that batches may have; nil: finetune.Config.Size

	// Truth returns what a Scorer scores against: the i-th row of the split is its i-th
	// image, and the categories of its annotations are those of the detector's classes.
	Truth func(finetune.Split) *coco.Dataset

	// Scored is called with what a Scorer has found when it has judged it; the Task keeps
	// it no longer. nil: none.
	Scored func(finetune.Split, []coco.Detection)

	// Metric is by what epochs are ranked: "bbox", the default, or "segm".
	Metric string
}

var _ finetune.Task = (*Task)(nil)

// The values of Task.Metric, and the beginnings of names of figures.
const (
	Boxes = "bbox"
	Masks = "segm"
)

// Figure is the average precision of boxes or masks.
func (t *Task) Figure() string {
	if t.Metric == Masks {
		return Masks + "_ap"
	}
	return Boxes + "_ap"
}

// network checks that a network is that of a detector.
func (t *Task) network(net *graph.Network) (*network, error) {
	d := net.Spec().Detect
	if d == nil {
		return nil, fmt.Errorf("train: %q: %w", net.Model().Name(), detect.ErrNoDetector)
	}
	if heads := headsOf(d); d.Mask != nil && len((&network{Network: net, d: d}).parameters(heads[len(heads)-1])) == 0 {
		d = withoutMasks(d) // ReadBoxes
	}
	if t.Metric != "" && t.Metric != Boxes && t.Metric != Masks || t.Metric == Masks && d.Mask == nil {
		return nil, fmt.Errorf("train: metric %q, expected %q, or %q of a detector with masks", t.Metric, Boxes, Masks)
	}
	n := &network{net, d, t.Conventions}
	if n.Conventions == (Conventions{}) {
		n.Conventions = ConventionsOf(d)
	}
	return n, nil
}

// canvases are the sizes of images of which there are programs.
func (t *Task) canvases(net *graph.Network, c graph.Config) []detect.Size {
	if len(t.Canvases) > 0 {
		return t.Canvases
	}
	if c.Size == [2]int{} {
		c.Size = net.Spec().InputSize
	}
	return []detect.Size{{H: c.Size[0], W: c.Size[1]}}
}

// Step returns a step of several programs: see the package's documentation.
func (t *Task) Step(net *graph.Network, c graph.Config) (finetune.Step, error) {
	n, err := t.network(net)
	if err != nil {
		return nil, err
	}
	s, buffers := &step{}, map[string][]float32{}
	for _, size := range t.canvases(net, c) {
		p, err := newPrograms(n, size, c)
		if err != nil {
			return nil, fmt.Errorf("train: images of %dx%d: %w", size.W, size.H, err)
		}
		s.canvases = append(s.canvases, newCanvas(p, buffers))
	}
	return s, nil
}

// truthOf are the truth of a batch, whose images must have one canvas.
func truthOf(p *finetune.Pass) ([]*Target, error) {
	targets := make([]*Target, p.N())
	for i, truth := range p.Truth {
		t, ok := truth.(*Target)
		if !ok || t == nil {
			return nil, fmt.Errorf("train: row %d of split %s has the truth %v of type %T, expected a *Target", p.Rows[i], p.Split, truth, truth)
		}
		if targets[i] = t; t.Canvas != targets[0].Canvas {
			return nil, fmt.Errorf("train: rows %d and %d of split %s have canvases %v and %v, expected one", p.Rows[0], p.Rows[i], p.Split, targets[0].Canvas, t.Canvas)
		}
	}
	return targets, nil
}

// check compares what is to be learned with the detector.
func (n *network) check(p *finetune.Pass, targets []*Target) error {
	for i, t := range targets {
		if len(t.Labels) != len(t.Boxes) || t.Masks != nil && len(t.Masks) != len(t.Boxes) {
			return fmt.Errorf("train: row %d of split %s has %d boxes, %d labels and %d masks", p.Rows[i], p.Split, len(t.Boxes), len(t.Labels), len(t.Masks))
		}
		if len(t.Labels) > 0 && (slices.Min(t.Labels) < 0 || slices.Max(t.Labels) >= len(n.d.Classes)) {
			return fmt.Errorf("train: row %d of split %s has labels %v, expected them below %d, the detector's classes", p.Rows[i], p.Split, t.Labels, len(n.d.Classes))
		}
	}
	return nil
}
