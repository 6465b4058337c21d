package arch_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// things are classes of a made-up data set.
var things = []onnx.DetectClass{{ID: 1, Name: "cup"}, {ID: 2, Name: "hat"}, {ID: 7, Name: "key"}}

// detectorOn puts a detector of things on a backbone.
func detectorOn(t *testing.T, backbone *onnx.Model, kind string, c arch.DetectorConfig) (*onnx.Model, onnx.Spec) {
	t.Helper()
	m, err := arch.NewDetector(backbone, kind, things, c)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

// levelsOf writes the strides of a detector's levels.
func levelsOf(s onnx.Spec) string {
	var strides []string
	for _, l := range s.Detect.Levels {
		strides = append(strides, fmt.Sprint(l.Stride))
	}
	return strings.Join(strides, " ")
}

// TestNewDetectorLevels puts detectors on every family of backbones, and looks at the
// levels of their pyramids.
func TestNewDetectorLevels(t *testing.T) {
	four, two, none := [2]string{"4 8 16 32 64", "8 16 32 64 128"}, [2]string{"4 8 16", "4 8 16 32"}, [2]string{}
	for name, want := range map[string][2]string{
		"resnet18": four, "resnet50": four, "resnext50_32x4d": four, "wide_resnet50_2": four, "densenet161": four, "vgg16_bn": four,
		"mobilenet_v2": four, "shufflenet_v2_x1_0": four, "mnasnet1_0": four,
		"cifar_resnet18": two, "cifar_resnet50": two, "resnet8": two, "cifar_resnet20": none, "resnet2b": none,
	} {
		backbone := network(t, name, 10)
		for i, kind := range []string{arch.MaskRCNN, arch.RetinaNet} {
			if want[i] == "" {
				_, err := arch.NewDetector(backbone, kind, things, arch.DetectorConfig{})
				if err == nil || !strings.Contains(err.Error(), "has feature maps of strides [") {
					t.Errorf("%s on %s: %v", kind, name, err)
				}
				continue
			}
			m, s := detectorOn(t, backbone, kind, arch.DetectorConfig{Channels: 8, Hidden: 16})
			if got := levelsOf(s); got != want[i] {
				t.Errorf("%s on %s has levels of strides %s, expected %s", kind, name, got, want[i])
			}
			for k, l := range s.Detect.Levels {
				if size := s.Detect.Anchors.Sizes[k][0]; size != float64(l.Stride*[]int{8, 4}[i]) || l.Channels != 8 {
					t.Errorf("%s on %s: level %+v with anchors of %v", kind, name, l, size)
				}
			}
			checkTrunk(t, m, s, backbone)
			if s.Arch != kind+"_"+name+"_fpn" {
				t.Errorf("%s on %s is called %s", kind, name, s.Arch)
			}
		}
	}
}

// checkTrunk wants the parameters of a detector's trunk to be those of the backbone, and
// every parameter to be read.
func checkTrunk(t *testing.T, m *onnx.Model, s onnx.Spec, backbone *onnx.Model) {
	t.Helper()
	theirs, read := map[string]onnx.Tensor{}, map[string]bool{}
	for _, x := range backbone.Tensors() {
		theirs[x.Name] = x
	}
	for _, n := range m.Proto.Graph.Node {
		for _, v := range n.Input {
			read[v] = true
		}
	}
	trunk := 0
	for _, x := range m.Tensors() {
		if !read[x.Name] {
			t.Errorf("%s: nothing reads %s", s.Arch, x.Name)
		}
		if strings.HasPrefix(x.Name, "rpn.") || strings.HasPrefix(x.Name, "roi_heads.") || strings.HasPrefix(x.Name, "head.") || strings.HasPrefix(x.Name, "backbone.fpn.") || x.DType == pb.TensorProto_INT64 {
			continue
		}
		trunk++
		if y := theirs[x.Name]; !slices.Equal(x.Dims, y.Dims) {
			t.Errorf("%s: %s is %v, of the backbone %v", s.Arch, x.Name, x.Dims, y.Dims)
		}
	}
	if head, _, _ := backbone.Spec(); trunk < 5 || read[head.Head.Weight] {
		t.Errorf("%s: %d parameters of the backbone, or its head", s.Arch, trunk)
	}
}

// TestNewDetectorTensors compares the parameters, values and Spec of detectors on
// ResNets with those of the detectors that are built of checkpoints.
func TestNewDetectorTensors(t *testing.T) {
	for _, c := range []struct{ kind, backbone, conventions string }{
		{arch.FasterRCNN, "resnet50", ""}, {arch.MaskRCNN, "resnet50", "torchvision"}, {arch.RetinaNet, "resnet50", ""}, {arch.MaskRCNN, "resnet18", ""},
		{arch.FasterRCNN, "resnet50", "detectron2"}, {arch.MaskRCNN, "resnet50", "detectron2"}, {arch.RetinaNet, "resnet50", "detectron2"},
	} {
		m, s := detectorOn(t, network(t, c.backbone, 10), c.kind, arch.DetectorConfig{Conventions: c.conventions})
		name, outputs := c.kind+"_"+c.backbone, 4
		if c.conventions == "detectron2" {
			name += "_msra"
		}
		if c.kind == arch.RetinaNet {
			outputs = 3
		}
		built := network(t, name+"_fpn", outputs)
		describe := func(m *onnx.Model) (tensors, values []string) {
			for _, x := range m.Tensors() {
				tensors = append(tensors, fmt.Sprint(strings.TrimPrefix(x.Name, "backbone.body."), x.Dims))
			}
			for _, v := range slices.Concat(m.Inputs(), m.Outputs()) {
				values = append(values, v.String())
			}
			return tensors, values
		}
		got, gotValues := describe(m)
		want, wantValues := describe(built)
		if !slices.Equal(got, want) || !slices.Equal(gotValues, wantValues) {
			t.Errorf("%s: %d tensors and %d values, expected %d and %d, or others", name, len(got), len(gotValues), len(want), len(wantValues))
		}
		theirs, _, _ := built.Spec()
		theirs.Detect.Classes = things
		a, err := json.Marshal(s.Detect)
		b, err2 := json.Marshal(theirs.Detect)
		if err != nil || err2 != nil || string(a) != string(b) || s.InputSize != theirs.InputSize {
			t.Errorf("%s: the spec says\n%s\nexpected\n%s", name, a, b)
		}
	}
}

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
	if len(s.Stages) != 2 || s.Stages[0] != spec.Stages[1] {
		t.Errorf("stages %v of %v", s.Stages, spec.Stages)
	}
	_, s = detectorOn(t, network(t, "resnet18", 10), arch.RetinaNet, arch.DetectorConfig{MinSize: 64, MaxSize: 64, AnchorSizes: [][]float64{{4, 6}, {8, 12}, {16, 24}, {32, 48}, {64, 96}}})
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
	if s.Stages[0].Value != "trunk/trunk/p2" || s.Detect.Images.Value != "trunk/images" || s.Detect.Levels[0].Value != "p2" || s.Input != "images" || m.Inputs()[0].Name != "images" {
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
		taps := []onnx.Stage{{Value: "/Clip_6_output_0", Stride: 4, Channels: 128}, {Value: "/Clip_10_output_0", Stride: 8, Channels: 256}, // behind L.6 and L.10
			{Value: "/Clip_22_output_0", Stride: 16, Channels: 512}, {Value: "/Clip_24_output_0", Stride: 32, Channels: 1024}} // behind L.22 and L.24
		if kind == arch.RetinaNet {
			taps = taps[1:]
		}
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
