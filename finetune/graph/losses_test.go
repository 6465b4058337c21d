package graph_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
)

// lossGoldens reads the losses of a name that testdata/losses.py computed with PyTorch.
func lossGoldens(t *testing.T, name string) []json.RawMessage {
	t.Helper()
	var all map[string]json.RawMessage
	var out []json.RawMessage
	text, err := os.ReadFile("testdata/losses.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err == nil {
		err = json.Unmarshal(all[name], &out)
	}
	if err != nil || len(out) == 0 {
		t.Fatalf("testdata/losses.json: %s: %v", name, err)
	}
	return out
}

// scalar is a tensor of a single number.
func scalar(v float64) array { return array{graph.Shape{}, []float64{v}} }

// TestSigmoidCrossEntropyAsPyTorch includes logits of 1e4.
func TestSigmoidCrossEntropyAsPyTorch(t *testing.T) {
	for _, raw := range lossGoldens(t, "sigmoid_cross_entropy") {
		g := decode(t, raw, &struct{}{})
		near(t, "y", run(t, graph.SigmoidCrossEntropy{}, g["x"], g["t"], g["w"]), g["y"])
		near(t, "dx", run(t, graph.SigmoidCrossEntropyGradient{}, g["x"], g["t"], g["w"]), g["dx"])
		near(t, "dx", run(t, graph.SigmoidCrossEntropyGradient{}, g["x"], g["t"], g["w"], scalar(-2)), times(-2, g["dx"]))
	}
}

// TestSmoothL1AsPyTorch includes differences of exactly 0 and beta.
func TestSmoothL1AsPyTorch(t *testing.T) {
	for _, raw := range lossGoldens(t, "smooth_l1") {
		var o graph.SmoothL1
		g := decode(t, raw, &o)
		near(t, fmt.Sprint("y, beta ", o.Beta), run(t, o, g["x"], g["t"], g["w"]), g["y"])
		near(t, fmt.Sprint("dx, beta ", o.Beta), run(t, graph.SmoothL1Gradient(o), g["x"], g["t"], g["w"]), g["dx"])
		near(t, fmt.Sprint("dx, beta ", o.Beta), run(t, graph.SmoothL1Gradient(o), g["x"], g["t"], g["w"], scalar(-2)), times(-2, g["dx"]))
	}
}

// TestFocalLossAsTorchvision computes the loss of a batch as RetinaNet's head does.
func TestFocalLossAsTorchvision(t *testing.T) {
	for _, raw := range lossGoldens(t, "focal") {
		var o graph.FocalLoss
		g := decode(t, raw, &o)
		near(t, fmt.Sprintf("y of %+v", o), run(t, o, g["x"], g["labels"], g["w"]), g["y"])
		near(t, fmt.Sprintf("dx of %+v", o), run(t, graph.FocalLossGradient(o), g["x"], g["labels"], g["w"]), g["dx"])
		near(t, fmt.Sprintf("dx of %+v", o), run(t, graph.FocalLossGradient(o), g["x"], g["labels"], g["w"], scalar(-2)), times(-2, g["dx"]))
	}
}

// TestFocalLossRefused: shapes and constants that do not fit are errors.
func TestFocalLossRefused(t *testing.T) {
	x, labels, w := graph.Shape{2, 6, 3, 4}, graph.Shape{2, 2, 3, 4}, graph.Shape{2}
	for _, in := range [][]graph.Shape{{x, labels}, {x, labels, {3}}, {x, {2, 4, 3, 4}, w}, {x, {1, 2, 3, 4}, w}, {x, {2, 2, 4, 3}, w}, {{2, 6}, labels, w}, {x, {2, 0, 3, 4}, w}} {
		if s, err := (graph.FocalLoss{Alpha: .25, Gamma: 2}).Infer(in); err == nil {
			t.Errorf("%v has shape %v", in, s)
		}
		if s, err := (graph.FocalLossGradient{Alpha: .25, Gamma: 2}).Infer(in); err == nil {
			t.Errorf("the gradient of %v has shape %v", in, s)
		}
	}
	for _, o := range []graph.FocalLoss{{Alpha: 1.5}, {Gamma: -1}} {
		if _, err := o.Infer([]graph.Shape{x, labels, w}); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func times(by float64, a array) array {
	out := array{a.Shape, make([]float64, len(a.Data))}
	for i, v := range a.Data {
		out.Data[i] = by * v
	}
	return out
}

// TestDot: the gradient by x is g itself, without another node.
func TestDot(t *testing.T) {
	near(t, "y", run(t, graph.Dot{}, array{graph.Shape{3}, []float64{1, 2, 3}}, array{graph.Shape{3}, []float64{4, -5, 6}}), scalar(12))
	for _, c := range graphtest.Cases(rand.New(rand.NewPCG(6, 1))) {
		if c.Name != "Dot" {
			continue
		}
		_, p, err := c.Program()
		if err != nil {
			t.Fatal(err)
		}
		if text := p.String(); strings.Count(text, "graph.Binary{Op:Mul}") != 2 { // the model's own, and its derivative
			t.Errorf("more products than the model's:\n%s", text)
		}
	}
}

// TestLossShapes: values, targets and weights of different shapes are refused.
func TestLossShapes(t *testing.T) {
	a, b := graph.Shape{2, 3}, graph.Shape{3, 2}
	for _, op := range []graph.Op{graph.SigmoidCrossEntropy{}, graph.SmoothL1{}, graph.SmoothL1{Beta: 1}} {
		for _, in := range [][]graph.Shape{{a, a}, {a, a, b}, {a, b, a}, {a, a, a, a}} {
			if s, err := op.Infer(in); err == nil {
				t.Errorf("%T of %v has shape %v", op, in, s)
			}
		}
	}
	for _, op := range []graph.Op{graph.SigmoidCrossEntropyGradient{}, graph.SmoothL1Gradient{}} {
		for _, in := range [][]graph.Shape{{a, a}, {a, a, b}, {a, b, a}, {a, a, a, a}, {a, a, a, {}, {}}} {
			if s, err := op.Infer(in); err == nil {
				t.Errorf("%T of %v has shape %v", op, in, s)
			}
		}
	}
	if _, err := (graph.SmoothL1{Beta: -1}).Infer([]graph.Shape{a, a, a}); err == nil || !strings.Contains(err.Error(), "beta is -1") {
		t.Errorf("a beta below 0: %v", err)
	}
	if _, err := (graph.Dot{}).Infer([]graph.Shape{a, b}); err == nil {
		t.Error("Dot of two shapes")
	}
}
