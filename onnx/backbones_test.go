package onnx_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
)

var update = flag.Bool("update", false, "write assets/backbones anew")

func shared(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	file := filepath.Join(root, name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("test data %s is not there (RTX_SHARED_DATA names its folder)", name)
	}
	return file
}

// TestBackbones makes the bundled backbones from the files that they were
// trained into, and wants them to be what is committed.
func TestBackbones(t *testing.T) {
	labels := []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
	classes, err := json.Marshal(labels)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		source string
		robust *onnx.Robustness
	}{
		"resnet8_std":        {"resnet8_cifar_std.onnx", nil},
		"resnet8_l2_eps0.25": {"resnet8_cifar_l2_eps0.25.onnx", &onnx.Robustness{Norm: "l2", Eps: 0.25}},
		"resnet8_noiseaug":   {"resnet8_cifar_noiseaug.onnx", nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load(shared(t, filepath.Join("ours", c.source)))
			if err != nil {
				t.Fatal(err)
			}
			sum, err := m.SHA256()
			if err != nil {
				t.Fatal(err)
			}
			if m, err = m.Rename(map[string]string{"input": "images"}); err != nil {
				t.Fatal(err)
			}
			if m, err = m.WithOpset(onnx.Opset); err != nil {
				t.Fatal(err)
			}
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			spec.Arch, spec.Robustness, spec.Labels = "resnet8", c.robust, labels
			spec.Source = &onnx.Source{File: c.source, SHA256: sum}
			spec.Head = &onnx.Head{Weight: "m.fc.weight", Bias: "m.fc.bias"}
			spec.Stages = []onnx.Stage{{Value: "/l1/Relu_1_output_0", Stride: 2, Channels: 24}, {Value: "/l2/Relu_1_output_0", Stride: 4, Channels: 48}, {Value: "/l3/Relu_1_output_0", Stride: 8, Channels: 96}}
			if m, err = m.WithSpec(spec); err != nil {
				t.Fatal(err)
			}
			m = m.WithMetadata("classes", string(classes))
			if bad := m.Validate(); len(bad) > 0 {
				t.Fatal(bad)
			}
			made := filepath.Join(t.TempDir(), "made.onnx")
			if err := m.Save(made); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(made)
			if err != nil {
				t.Fatal(err)
			}
			committed := filepath.Join("..", "assets", "backbones", name+".onnx")
			if *update {
				if err := os.WriteFile(committed, got, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(committed)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what its source becomes; go test ./onnx -run Backbones -update writes it anew", committed)
			}
		})
	}
}

func backbone(t testing.TB) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(filepath.Join("..", "assets", "backbones", "resnet8_std.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
