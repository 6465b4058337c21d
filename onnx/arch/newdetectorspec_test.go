package arch_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestNewDetectorSpec looks at what a detector says of images and of where it comes
// from.
func TestNewDetectorSpec(t *testing.T) {
	backbone := network(t, "resnet8", 10)
	spec, _, err := backbone.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Robustness, spec.Parents, spec.Labels = &onnx.Robustness{Norm: "l2", Eps: 0.25}, []string{"a", "b"}, []string{"c"}
	spec.SourceNames = map[string]string{"conv.weight": "module.conv.weight"}
	if backbone, err = backbone.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	m, s := detectorOn(t, backbone, arch.FasterRCNN, arch.DetectorConfig{MinSize: 100, Seed: 9})
	if s.Robustness == nil || *s.Robustness != *spec.Robustness || !slices.Equal(s.Parents, spec.Parents) || s.Labels != nil || s.Head != nil || s.Feature != "" || s.SourceNames != nil {
		t.Errorf("spec %+v", s)
	}
	if d := s.Detect; !s.Normalized || d.Images.Value != "normalize/div" || d.Images.MinSize != 100 || d.Images.MaxSize != 167 || s.InputSize != [2]int{128, 192} || s.Crop != "none" || s.Input != "images" {
		t.Errorf("images: %+v %+v", s, d.Images)
	}
	if got := m.Metadata(arch.SeedKey); got != "9" {
		t.Errorf("seed %q", got)
	}
	if !slices.Equal(s.Stages, spec.Stages) { // also those that the pyramid does not take: parameters are counted by them
		t.Errorf("stages %v of %v", s.Stages, spec.Stages)
	}
	_, s = detectorOn(t, network(t, "resnet18", 10), arch.RetinaNet, arch.DetectorConfig{MinSize: 64, MaxSize: 64, AnchorSizes: [][]float64{{4, 6}, {8, 12}, {16, 24}, {32, 48}, {64, 96}}})
	if len(s.Stages) != 4 { // "the last three" leaves out the stem and layer1 of every kind
		t.Errorf("stages %v", s.Stages)
	}
	if d := s.Detect; s.Normalized || s.Std == nil || d.Images.Value != "images" || s.InputSize != [2]int{64, 64} || d.Anchors.Sizes[1][1] != 12 || d.BatchNormEps != 1e-5 {
		t.Errorf("%+v %+v", s, d)
	}
}

// TestNewDetectorNames gives backbones values that are called as those of detectors are.
func TestNewDetectorNames(t *testing.T) {
	backbone, err := network(t, "resnet8", 10).Rename(map[string]string{"images": "box/features", "l2/add/relu": "p2", "l3.conv1.weight": "rpn.head.cls_logits.weight", "normalize/div": "images", "bn": "trunk/p2"})
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := backbone.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Input, spec.Stages[1].Value = "box/features", "p2"
	if backbone, err = backbone.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	m, s := detectorOn(t, backbone, arch.MaskRCNN, arch.DetectorConfig{})
	if s.Stages[1].Value != "trunk/trunk/p2" || s.Detect.Images.Value != "trunk/images" || s.Detect.Levels[0].Value != "p2" || s.Input != "images" || m.Inputs()[0].Name != "images" {
		t.Errorf("%+v %+v", s, s.Detect)
	}
	if bad := m.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	if v, err := m.Floats("trunk/rpn.head.cls_logits.weight"); err != nil || len(v) != 96*48*9 {
		t.Errorf("%d values, %v", len(v), err)
	}
}

// TestNewDetectorFaults asks for what cannot be.
func TestNewDetectorFaults(t *testing.T) {
	resnet8 := network(t, "resnet8", 10)
	changed := func(change func(*onnx.Spec)) *onnx.Model {
		s, _, err := resnet8.Spec()
		if err != nil {
			t.Fatal(err)
		}
		change(&s)
		m, err := resnet8.WithSpec(s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	half, err := resnet8.Float16()
	if err != nil {
		t.Fatal(err)
	}
	two := []onnx.DetectClass{{ID: 1, Name: "a"}, {ID: 2, Name: "a"}}
	for i, c := range []struct {
		model   *onnx.Model
		kind    string
		classes []onnx.DetectClass
		config  arch.DetectorConfig
		says    string
	}{
		{resnet8, "yolo", things, arch.DetectorConfig{}, `unknown kind of detector "yolo"`},
		{resnet8, arch.FasterRCNN, nil, arch.DetectorConfig{}, "0 classes"},
		{resnet8, arch.FasterRCNN, two, arch.DetectorConfig{}, `two classes are called "a"`},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{Conventions: "yolo"}, `conventions of "yolo", expected torchvision or detectron2`},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{Channels: -1}, "channels is -1"},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{Hidden: 1 << 20}, "hidden is 1048576"},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{MinSize: 100, MaxSize: 99}, "a shorter side of 100 and a longer one of up to 99"},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{AnchorSizes: [][]float64{{1}, {2}}}, "anchors of 2 levels, expected 3"},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{AnchorSizes: [][]float64{{1}, {2, 3}, {4}}}, "2 anchors of level 1, and 1 of level 0"},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{AnchorSizes: [][]float64{{1}, {2}, {math.NaN()}}}, "an anchor of size NaN of level 2"},
		{resnet8, arch.FasterRCNN, things, arch.DetectorConfig{AnchorSizes: [][]float64{{}}}, "no anchors of the finest level"},
		{network(t, "fasterrcnn_tiny_fpn", 3), arch.FasterRCNN, things, arch.DetectorConfig{}, "it is a detector"},
		{half, arch.FasterRCNN, things, arch.DetectorConfig{}, "is of type FLOAT16, expected float32"},
		{changed(func(s *onnx.Spec) { s.Stages[2].Channels = 97 }), arch.FasterRCNN, things, arch.DetectorConfig{}, `stage "l3/add/relu" has stride 8 and 96 channels, and its spec says 8 and 97`},
		{changed(func(s *onnx.Spec) { s.Stages[2].Stride = 16 }), arch.FasterRCNN, things, arch.DetectorConfig{}, "has feature maps of strides [2 4 16]"},
		{changed(func(s *onnx.Spec) { s.Stages[1].Value = "nowhere" }), arch.FasterRCNN, things, arch.DetectorConfig{}, `no value "nowhere"`},
		{changed(func(s *onnx.Spec) { s.Layout = "nhwc" }), arch.FasterRCNN, things, arch.DetectorConfig{}, `in the layout "nhwc"`},
		{changed(func(s *onnx.Spec) { s.NormNodes = nil }), arch.FasterRCNN, things, arch.DetectorConfig{}, "the colour of padding cannot be told"},
	} {
		if _, err := arch.NewDetector(c.model, c.kind, c.classes, c.config); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d: %v, expected %q", i, err, c.says)
		}
	}
}
