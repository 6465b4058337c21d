package arch_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestStages finds the stages of every family by the graph alone. MobileNet and MNASNet
// have blocks that widen the map before they halve it: what is halved is wider than what
// the Spec names, and behind an activation.
func TestStages(t *testing.T) {
	wider := map[string][]int{"mobilenet_v2": {144, 192, 576, 1280}, "mnasnet1_0": {72, 240, 576, 1280}}
	for _, name := range arch.Names {
		m := network(t, name, 10)
		s, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		want := s.Stages
		for i, channels := range wider[name] {
			want[i].Channels = channels
		}
		got, err := m.WithMetadata(onnx.SpecKey, "").Stages()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for len(got) > 0 && got[0].Stride < want[0].Stride {
			got = got[1:]
		}
		for i := range wider[name] {
			want[i].Value = got[i].Value
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the stages %v, expected %v", name, got, want)
		}
	}
}

// TestExposedStages exports the second stage of every family for images of any size.
func TestExposedStages(t *testing.T) {
	for _, name := range arch.Names {
		m := network(t, name, 10)
		s, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		want := s.Stages[1]
		exposed, err := m.Expose([]onnx.Output{{Name: "map", Value: want.Value}}, true)
		if err != nil {
			t.Fatal(err)
		}
		want.Value = "map"
		if got, err := exposed.Stage("map"); err != nil || got != want {
			t.Errorf("%s: %+v, %v; expected %+v", name, got, err, want)
		}
	}
}

// TestForeignBackbone puts a detector on a MobileNet that another tool exported.
func TestForeignBackbone(t *testing.T) {
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	file := filepath.Join(root, "nets", "mobilenetv1_1.0_imagenet_trunc_pw12.onnx")
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not there (RTX_SHARED_DATA names its folder)", filepath.Base(file))
	}
	backbone, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for kind, levels := range map[string]string{arch.MaskRCNN: "4 8 16 32 64", arch.RetinaNet: "8 16 32 64 128"} {
		m, s := detectorOn(t, backbone, kind, arch.DetectorConfig{Channels: 128})
		taps := []onnx.Stage{{Value: "/Clip_2_output_0", Stride: 2, Channels: 64}, {Value: "/Clip_6_output_0", Stride: 4, Channels: 128}, {Value: "/Clip_10_output_0", Stride: 8, Channels: 256}, // behind L.6 and L.10
			{Value: "/Clip_22_output_0", Stride: 16, Channels: 512}, {Value: "/Clip_24_output_0", Stride: 32, Channels: 1024}} // behind L.22 and L.24
		if levelsOf(s) != levels || !slices.Equal(s.Stages, taps) {
			t.Errorf("%s: levels of strides %s on %v", kind, levelsOf(s), s.Stages)
		}
		norms := 0
		for _, n := range m.Proto.Graph.Node {
			for _, a := range n.Attribute {
				if n.OpType == "BatchNormalization" && a.Name == "epsilon" && a.F == 1e-3 {
					norms++
				}
			}
		}
		if norms != 25 || s.Detect.BatchNormEps != 1e-3 {
			t.Errorf("%s: %d batch norms that add 0.001, and the spec says %v", kind, norms, s.Detect.BatchNormEps)
		}
		if in := m.Inputs(); len(in) > 1 && kind == arch.RetinaNet || in[0].String() != "images float[N,3,H,W]" {
			t.Errorf("%s: inputs %v", kind, in)
		}
		if m.Opset() != onnx.Opset {
			t.Errorf("%s: opset %d", kind, m.Opset())
		}
	}
}
