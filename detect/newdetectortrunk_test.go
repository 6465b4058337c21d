package detect_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestNewDetectorTrunk runs the trunks of detectors on images of 64x96, of backbones
// that were made for 224x224. Their feature maps are those of the same network made for
// 64x96.
func TestNewDetectorTrunk(t *testing.T) {
	images := onnx.Array{Dims: []int{1, 3, 64, 96}, Floats: make([]float32, 3*64*96)}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range images.Floats {
		images.Floats[i] = r.Float32()
	}
	names := []string{"shufflenet_v2_x1_0", "mobilenet_v2", "resnet18"}
	if testing.Short() {
		names = names[:1]
	}
	for _, name := range names {
		made := func(size [2]int) *onnx.Model {
			m, err := arch.Untrained(name, 10, 3, arch.Config{Normalize: true, InputSize: size})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		core, err := arch.NewDetector(made([2]int{}), arch.FasterRCNN, []onnx.DetectClass{{ID: 1, Name: "cup"}}, arch.DetectorConfig{Channels: 8, Hidden: 8})
		if err != nil {
			t.Fatal(err)
		}
		spec, _, err := core.Spec()
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, s := range spec.Stages {
			values = append(values, s.Value)
		}
		got, want := ran(t, core, images, values), ran(t, made([2]int{64, 96}), images, values)
		for i := range want {
			if len(got[i].Floats) != len(want[i].Floats) || len(want[i].Floats) == 0 {
				t.Fatalf("%s: %q is %v, of the backbone %v", name, values[i], got[i].Dims, want[i].Dims)
			}
			for k, v := range want[i].Floats {
				if got[i].Floats[k] != v {
					t.Fatalf("%s: %q has %v at %d, of the backbone %v", name, values[i], got[i].Floats[k], k, v)
				}
			}
		}
	}
}

// ran are the values that a model computes of images.
func ran(t *testing.T, m *onnx.Model, images onnx.Array, values []string) []onnx.Array {
	t.Helper()
	c, err := m.Cut(values...)
	if err != nil {
		t.Fatal(err)
	}
	g := c.Proto.Graph
	g.Input = g.Input[:1] // the heads have others
	for i, o := range g.Output {
		g.Output[i] = onnx.NewValue(o.Name, pb.TensorProto_FLOAT)
	}
	n, err := opener(t)(c)
	if err != nil {
		t.Fatal(err)
	}
	defer n.(interface{ Close() error }).Close()
	out, err := n.Run(context.Background(), images)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
