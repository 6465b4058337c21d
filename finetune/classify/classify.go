// Package classify trains networks to classify images: softmax cross-entropy
// with label smoothing and mixtures, top-1 and mean per-class accuracy.
//
// [Task] is a finetune.Task for networks that were read for their logits [N,K],
// and for data whose truth is a label for each row, an int from 0 to K-1.
package classify

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// Figures of a Score, as fractions.
const (
	Top1         = "top1"
	MeanPerClass = "mean_per_class" // over the classes that have rows
)

// Targets is the name of the program's input [N,K]: what the cross-entropy of the
// logits is taken with.
const Targets = "targets"

// Task is classification. The zero value is plain cross-entropy, ranked by top-1.
type Task struct {
	LabelSmoothing float64 // share of a target that is spread over all classes, as torch's cross_entropy does

	// Mix mixes a batch's images [N,...] and targets [N,K] in place, as mixup
	// does; nil: none.
	Mix func(r *rand.Rand, images, targets []float32, n int)

	MeanPerClass bool // mean per-class accuracy, not top-1, ranks epochs
}

var _ finetune.FeatureTask = Task{}

// Figure is top-1 or mean per-class accuracy.
func (t Task) Figure() string {
	if t.MeanPerClass {
		return MeanPerClass
	}
	return Top1
}

// OnFeatures tells whether features may stand for images: where these are not
// mixed.
func (t Task) OnFeatures() bool { return t.Mix == nil }

// Objective is the mean cross-entropy of the logits with the input Targets, and
// the logits as an output.
func Objective(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	logits := b.Results()[0]
	targets := b.Input(Targets, logits.Shape())
	return b.Apply(graph.CrossEntropy{}, logits, targets), []graph.Named{{Name: graph.Logits, Value: logits}}
}

// Step is one program: forward, backward and updates.
func (t Task) Step(net *graph.Network, c graph.Config) (finetune.Step, error) {
	if !(t.LabelSmoothing >= 0 && t.LabelSmoothing <= 1) {
		return nil, fmt.Errorf("classify: label smoothing %v, expected 0 to 1", t.LabelSmoothing)
	}
	p, err := net.Program(c, Objective)
	if err != nil {
		return nil, err
	}
	return &step{Task: t, program: p, shape: logits(p)}, nil
}

// logits is the shape of a program's logits.
func logits(p *graph.Program) graph.Shape {
	for _, o := range p.Outputs {
		if o.Name == graph.Logits {
			return p.Nodes[o.Node].Shape
		}
	}
	panic("classify: a program without logits")
}

type step struct {
	Task
	program *graph.Program
	shape   graph.Shape // of the logits
}

func (s *step) Programs() []*graph.Program { return []*graph.Program{s.program} }

func (s *step) Run(p *finetune.Pass) (float64, error) {
	labels, err := labelsOf(p, s.shape[1])
	if err != nil {
		return 0, err
	}
	targets := s.targets(labels)
	if s.Mix != nil {
		s.Mix(p.Random("mix"), p.Inputs[graph.Images], targets[:len(labels)*s.shape[1]], len(labels))
	}
	loss := make([]float32, 1)
	err = p.Run(s.program, map[string][]float32{Targets: targets}, map[string][]float32{graph.Loss: loss})
	return float64(loss[0]), err
}

// targets are rows of 1 - s + s/K at the label and s/K elsewhere, s being the
// label smoothing, over the number of real rows, so that the loss is a mean;
// rows that pad the batch are 0. torch's cross_entropy with label_smoothing does
// the same.
func (s *step) targets(labels []int) []float32 {
	k := s.shape[1]
	out := make([]float32, s.shape.Size())
	share, n := s.LabelSmoothing/float64(k), float64(len(labels))
	for i, label := range labels {
		row := out[i*k:][:k]
		for j := range row {
			row[j] = float32(share / n)
		}
		row[label] = float32((1 - s.LabelSmoothing + share) / n)
	}
	return out
}

// labelsOf are the labels of a batch, which must be below k.
func labelsOf(p *finetune.Pass, k int) ([]int, error) {
	labels := make([]int, p.N())
	for i, truth := range p.Truth {
		label, ok := truth.(int)
		if !ok {
			return nil, fmt.Errorf("classify: row %d of split %s has the truth %v of type %T, expected a label of type int", p.Rows[i], p.Split, truth, truth)
		}
		if label < 0 || label >= k {
			return nil, fmt.Errorf("classify: row %d of split %s is of class %d, expected one below %d, as the network has outputs; another head is needed", p.Rows[i], p.Split, label, k)
		}
		labels[i] = label
	}
	return labels, nil
}

// crossEntropy is log(sum exp x) - x[label].
func crossEntropy(x []float32, label int) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(x[label])
}
