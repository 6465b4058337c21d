package classify_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
)

// traceData are the images of testdata/adversarial.json, in their order.
type traceData struct {
	Images []float32
	Labels []int
	Losses map[string][]float64
}

func (d *traceData) Rows(s finetune.Split) int {
	if s == finetune.Training {
		return len(d.Labels)
	}
	return 0
}

func (d *traceData) Order(uint64, int) (rows []int) {
	for i := range d.Labels {
		rows = append(rows, i)
	}
	return rows
}

func (d *traceData) Load(_ context.Context, _ finetune.Split, _ int, b *finetune.Batch) error {
	size := len(d.Images) / len(d.Labels)
	images := b.Input(graph.Images, size)
	for i, row := range b.Rows {
		copy(images[i*size:][:size], d.Images[row*size:])
		b.Truth[i] = d.Labels[row]
	}
	return nil
}

// The losses of adversarial training are those of PyTorch in float64, step by step: the
// attack sees the running statistics of batch norms, and the step after it those of the
// batch. Without the attack they are others.
func TestAdversaryTrace(t *testing.T) {
	var d traceData
	text, err := os.ReadFile("testdata/adversarial.json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, threat := range map[string]attack.Threat{"l2": {Norm: attack.L2, Eps: .5}, "linf": {Norm: attack.Linf, Eps: 8. / 255}, "none": {}} {
		m, err := onnx.Load("testdata/adversarial.onnx")
		if err != nil {
			t.Fatal(err)
		}
		spec, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		spec.Range, spec.Normalized = [2]float64{0, 1}, true
		if m, err = m.WithSpec(spec); err != nil {
			t.Fatal(err)
		}
		net, err := graph.Read(m)
		if err != nil {
			t.Fatal(err)
		}
		var task classify.Task
		if threat.Eps > 0 {
			task.Adversary = &attack.Config{Threat: threat, Steps: 3, StepSize: 2 * threat.Eps / 3, Keep: attack.Last}
		}
		var losses []float64
		x := &tape.Executor[float32]{}
		_, err = finetune.Train(t.Context(), net, x, task, &d, finetune.Config{
			Epochs: 4, BatchSize: 8, LearningRate: .05, Schedule: finetune.Constant{}, Warmup: -1, Patience: -1,
			Optimizer: graph.SGD{Momentum: .9}, Rules: finetune.Rules{WeightDecay: 1e-3},
			Report: func(e finetune.Event) error {
				if e.Kind == finetune.Stepped {
					losses = append(losses, e.Loss)
				}
				return nil
			},
		})
		x.Close()
		if err != nil {
			t.Fatal(err)
		}
		want := d.Losses[name]
		if len(losses) != len(want) {
			t.Fatalf("%s: %d steps, PyTorch has %d", name, len(losses), len(want))
		}
		worst := 0.0
		for i, loss := range losses {
			worst = max(worst, math.Abs(loss-want[i])/want[i])
		}
		if t.Logf("%s: losses within %.1e of PyTorch's", name, worst); !(worst < 1e-6) {
			t.Errorf("%s: losses %v, PyTorch's %v", name, losses, want)
		}
	}
	if slices.Equal(d.Losses["l2"], d.Losses["none"]) {
		t.Error("the attack changes nothing")
	}
}
