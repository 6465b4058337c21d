package classify_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
)

// hints are images of 4x4 whose class shows in two ways: in one pixel, which is right in
// 75 % of the images, and weakly in all others, which together are right in all, and which
// a change of .1 hides.
type hints struct{}

func (hints) Rows(s finetune.Split) int {
	return map[finetune.Split]int{finetune.Training: 512, finetune.Validation: 256}[s]
}

func (hints) Load(_ context.Context, s finetune.Split, _ int, b *finetune.Batch) error {
	images := b.Input(graph.Images, 3*4*4)
	for i, row := range b.Rows {
		r := rand.New(rand.NewPCG(uint64(s), uint64(row)))
		class := row % 2
		image := images[i*3*4*4:][:3*4*4]
		for k := range image {
			image[k] = .5 + .06*float32(2*class-1) + .05*(2*r.Float32()-1)
		}
		if image[0] = float32(class); r.Float64() < .25 {
			image[0] = 1 - image[0]
		}
		b.Truth[i] = class
	}
	return nil
}

// linear is a linear classifier of images of 4x4.
func linear(t *testing.T) *graph.Network {
	t.Helper()
	m := graphtest.NewModel(rand.New(rand.NewPCG(1, 2)), 4, 4)
	x := m.Node("Flatten", []string{"images"})
	x = m.Node("Gemm", []string{x, m.Weights("weight", -.1, .1, 2, 48), m.Weights("bias", 0, 0, 2)}, onnx.Int("transB", 1))
	net, err := graph.Read(m.Case("linear", x, 2, false, nil).Model)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// Adversarial training makes a network robust that ordinary training leaves fragile, and
// the figure Robust tells them apart.
func TestAdversary(t *testing.T) {
	threat := attack.Threat{Norm: attack.Linf, Eps: .1}
	train := &attack.Config{Threat: threat, Steps: 3, StepSize: threat.Eps * 2 / 3, Keep: attack.Last, RandomStart: true}
	score := &attack.Config{Threat: threat, Steps: 10, Keep: attack.Last}
	scores := map[bool]*finetune.Score{}
	for _, adversarial := range []bool{false, true} {
		task := classify.Task{Attack: score, Robust: true}
		if adversarial {
			task.Adversary = train
		}
		x := &tape.Executor[float32]{}
		result, err := finetune.Train(t.Context(), linear(t), x, task, hints{}, finetune.Config{Epochs: 20, BatchSize: 32, LearningRate: .5, Patience: -1, Frozen: true, Seed: 3})
		x.Close()
		if err != nil {
			t.Fatal(err)
		}
		scores[adversarial] = result.Last
		t.Logf("adversarial %v: %v", adversarial, result.Last.Figures)
	}
	ordinary, robust := scores[false], scores[true]
	if v := ordinary.Figure(classify.Top1); !(v > .93) {
		t.Errorf("ordinary training reaches top-1 %v", v)
	}
	if v := ordinary.Figure(classify.Robust); !(v < .5) {
		t.Errorf("ordinary training reaches robust accuracy %v", v)
	}
	if v := robust.Figure(classify.Robust); !(v > .65 && v <= robust.Figure(classify.Top1)) {
		t.Errorf("adversarial training reaches robust accuracy %v, top-1 %v", v, robust.Figure(classify.Top1))
	}
}

// A task that cannot attack says so.
func TestAdversaryErrors(t *testing.T) {
	net := linear(t)
	threat := attack.Threat{Norm: attack.Linf, Eps: .05}
	mix := func(*rand.Rand, []float32, []float32, int) {}
	for want, task := range map[string]classify.Task{
		"mixed images have no label": {Mix: mix, Adversary: &attack.Config{Threat: threat}},
		"norm":                       {Adversary: &attack.Config{Threat: attack.Threat{Norm: "l3", Eps: 1}}},
	} {
		if _, err := task.Step(net, graph.Config{Batch: 2, Optimizer: graph.SGD{}, Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true }}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if s := (classify.Task{Robust: true}); s.Figure() != classify.Robust || (classify.Task{Attack: &attack.Config{}}).OnFeatures() {
		t.Errorf("figure %q", s.Figure())
	}
	if v := (finetune.Score{}).Figure(classify.Robust); !math.IsNaN(v) {
		t.Errorf("a score without an attack has the figure %v", v)
	}
}
