package classify

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// Figures of a Score, as fractions.
const (
	Top1         = "top1"
	MeanPerClass = "mean_per_class" // mean accuracy over the classes that have rows
)

// Targets is the name of the program's input [N,K] of target distributions.
const Targets = "targets"

// Task is classification. The zero value trains with plain cross-entropy and ranks
// epochs by top-1 accuracy.
type Task struct {
	LabelSmoothing float64 // fraction of each target that is spread over all classes, as in torch's cross_entropy

	// Mix mixes a batch's images [n,...] and targets [n,K] in place, such as
	// augment.Mixup.Mix; nil: no mixing.
	Mix func(r *rand.Rand, images, targets []float32, n int)

	MeanPerClass bool // rank epochs by mean per-class accuracy instead of top-1

	// Adversary makes training adversarial (Madry et al. 2018): each step first changes
	// its images as this attack does, by an attack.Perturber, and trains on the changed
	// images alone. nil: none.
	Adversary *attack.Config

	// Attack adds the figure Robust to scores: the top-1 accuracy under this attack, by
	// an attack.Perturber. nil: none.
	Attack *attack.Config

	Robust bool // rank epochs by the figure Robust, with Attack
}

var _ finetune.FeatureTask = Task{}

// Figure is Robust or MeanPerClass if the task ranks by it, else Top1.
func (t Task) Figure() string {
	switch {
	case t.Robust:
		return Robust
	case t.MeanPerClass:
		return MeanPerClass
	}
	return Top1
}

// OnFeatures reports whether features may replace images: not if images are mixed or
// attacked.
func (t Task) OnFeatures() bool { return t.Mix == nil && t.Adversary == nil && t.Attack == nil }

// Objective builds the mean cross-entropy of the logits and the input Targets, and
// makes the logits an output.
func Objective(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	logits := b.Results()[0]
	targets := b.Input(Targets, logits.Shape())
	return b.Apply(graph.CrossEntropy{}, logits, targets), []graph.Named{{Name: graph.Logits, Value: logits}}
}

// Step returns a step of one program: forward pass, gradients and updates.
func (t Task) Step(net *graph.Network, c graph.Config) (finetune.Step, error) {
	if !(t.LabelSmoothing >= 0 && t.LabelSmoothing <= 1) {
		return nil, fmt.Errorf("classify: label smoothing %v, expected 0 to 1", t.LabelSmoothing)
	}
	p, err := net.Program(c, Objective)
	if err != nil {
		return nil, err
	}
	shape, err := logits(p)
	s := &step{Task: t, program: p, shape: shape}
	if err == nil && t.Adversary != nil {
		if t.Mix != nil {
			return nil, errors.New("classify: mixed images have no label to be attacked")
		}
		s.attack, err = attack.NewPerturber(net, graph.Config{Batch: c.Batch, Size: c.Size}, *t.Adversary)
	}
	return s, err
}

// logits returns the shape of a program's logits.
func logits(p *graph.Program) (graph.Shape, error) {
	for _, o := range p.Outputs {
		if s := p.Nodes[o.Node].Shape; o.Name == graph.Logits && len(s) == 2 {
			return s, nil
		}
	}
	return nil, errors.New("classify: the network was not read for its logits [N,K]")
}

type step struct {
	Task
	program *graph.Program
	shape   graph.Shape       // of the logits
	attack  *attack.Perturber // nil: none
}

func (s *step) Programs() []*graph.Program {
	if s.attack != nil {
		return []*graph.Program{s.attack.Program(), s.program}
	}
	return []*graph.Program{s.program}
}

func (s *step) Run(p *finetune.Pass) (float64, error) {
	labels, err := labelsOf(p, s.shape[1])
	if err != nil {
		return 0, err
	}
	targets := s.targets(labels)
	if s.Mix != nil {
		s.Mix(p.Random("mix"), p.Inputs[graph.Images], targets[:len(labels)*s.shape[1]], len(labels))
	}
	in, loss := map[string][]float32{Targets: targets}, make([]float32, 1)
	if s.attack != nil {
		if in[graph.Images], err = perturb(s.attack, p, labels); err != nil {
			return 0, err
		}
	}
	err = p.Run(s.program, in, map[string][]float32{graph.Loss: loss})
	return float64(loss[0]), err
}

// targets returns the target distributions: with label smoothing s, 1 - s + s/K at
// the label and s/K elsewhere, as torch's cross_entropy with label_smoothing. They
// are divided by the number of rows, so that the loss is a mean; rows that pad the
// batch are 0.
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

// labelsOf returns the labels of a batch, and checks that they are ints below k.
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

// crossEntropy is the cross-entropy of logits and a label, log(sum exp x) - x[label].
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
