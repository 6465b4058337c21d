package graph_test

import (
	"context"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// The head, applied to the features that the whole network computes, gives the logits.
func TestHead(t *testing.T) {
	for name, width := range map[string]int{"cifar_resnet20": 64, "mobilenet_v2": 1280, "shufflenet_v2_x1_0": 1024} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "cifar_resnet20" {
				t.Skip("large")
			}
			m, err := arch.Synthetic(name, 10)
			if err != nil {
				t.Fatal(err)
			}
			n, err := graph.Read(m)
			if err != nil {
				t.Fatal(err)
			}
			if value, w := n.HeadInput(); value == "" || w != width {
				t.Fatalf("the head reads %q, of width %d, want %d", value, w, width)
			}
			var x tape.Executor[float32]
			defer x.Close()
			if err := finetune.Load(n, &x); err != nil {
				t.Fatal(err)
			}
			value, _ := n.HeadInput()
			given := []graph.Given{{Value: value, Shape: graph.Shape{1, width}, Input: graph.Features}}
			want, features := runWithFeatures(t, n, &x, value, width)
			got := make([]float32, 10)
			runConfig(t, n, &x, graph.Config{Batch: 1, Given: given}, nil, map[string][]float32{graph.Features: features}, map[string][]float32{graph.Logits: got})
			for k := range want {
				if got[k] != want[k] {
					t.Errorf("logit %d is %v, want %v", k, got[k], want[k])
				}
			}
			if want[0] == 0 && want[1] == 0 {
				t.Error("all logits are 0")
			}
			checkHeadParams(t, n, given)
		})
	}
	m, err := arch.Synthetic("cifar_resnet20", 10)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Head = nil
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	n, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	if value, _ := n.HeadInput(); value != "" {
		t.Errorf("without a head, it reads %q", value)
	}
}

func runConfig(t *testing.T, n *graph.Network, x *tape.Executor[float32], c graph.Config, o graph.Objective, in, out map[string][]float32) {
	t.Helper()
	p, err := n.Program(c, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Run(context.Background(), p, in, out); err != nil {
		t.Fatal(err)
	}
}

// runWithFeatures runs the whole network on an image, and returns its logits and the
// value that the head reads.
func runWithFeatures(t *testing.T, n *graph.Network, x *tape.Executor[float32], value string, width int) (logits, features []float32) {
	t.Helper()
	size := n.Spec().InputSize
	images := make([]float32, 3*size[0]*size[1])
	for i := range images {
		images[i] = float32(i%97) / 97
	}
	logits, features = make([]float32, 10), make([]float32, width)
	both := func(b *graph.Builder) (graph.Value, []graph.Named) {
		return graph.Value{}, []graph.Named{{Name: graph.Logits, Value: b.Results()[0]}, {Name: graph.Features, Value: b.Value(value)}}
	}
	runConfig(t, n, x, graph.Config{Batch: 1}, both, map[string][]float32{graph.Images: images}, map[string][]float32{graph.Features: features, graph.Logits: logits})
	return logits, features
}

// checkHeadParams checks that a program that is given the features asks only about the
// head's parameters, with the stages that they have in the whole network.
func checkHeadParams(t *testing.T, n *graph.Network, given []graph.Given) {
	t.Helper()
	of := map[string]graph.Param{}
	for _, p := range n.Params() {
		of[p.Name] = p
	}
	asked := 0
	if _, err := n.Program(graph.Config{Batch: 1, Given: given, Train: func(p graph.Param) (graph.Rule, bool) {
		if asked++; p.Stage != of[p.Name].Stage || !p.Head {
			t.Errorf("%+v, want %+v", p, of[p.Name])
		}
		return graph.Rule{}, true
	}}, nil); err != nil || asked < 2 {
		t.Errorf("%d parameters, %v", asked, err)
	}
}
