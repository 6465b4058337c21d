package graph_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/onnx"
)

// TestExports reads files written by PyTorch's exporter, with parameters passed through
// Identity, limits through Cast, and pads and sizes computed from shapes.
func TestExports(t *testing.T) {
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	for file, want := range map[string]int{
		"nets/resnet20_op13_bn.onnx": 19*5 + 2, "nets/resnet20_op16_bn.onnx": 19*5 + 2, "nets/resnet20_op13_folded.onnx": 19*2 + 2,
		"nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx": 25*5 + 2, "ours/resnet8_cifar_std.onnx": 9*5 + 2,
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			m, err := onnx.Load(filepath.Join(root, file))
			if err != nil {
				t.Skipf("%s is not there (RTX_SHARED_DATA names the folder of test data)", file)
			}
			if _, _, err := m.LogitsValue(); errors.Is(err, onnx.ErrNoLogits) {
				features, err := m.FeatureValue()
				if err != nil {
					t.Fatal(err)
				}
				if m, err = m.Attach(features, onnx.Linear{W: make([]float32, 2*1024), B: make([]float32, 2), D: 1024}); err != nil {
					t.Fatal(err)
				}
			}
			n, err := graph.Read(m)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(n.Params()); got != want {
				t.Errorf("%d parameters, expected %d", got, want)
			}
			for _, batch := range []int{1, 3} {
				p, err := n.Program(graph.Config{Batch: batch, Train: all, Adapt: true}, graphtest.CrossEntropy)
				if err != nil {
					t.Fatal(err)
				}
				if s := p.Nodes[p.Outputs[0].Node].Shape; s[0] != batch {
					t.Errorf("logits of shape %v, expected %d rows", s, batch)
				}
			}
		})
	}
}
