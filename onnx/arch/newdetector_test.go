package arch_test

import (
	"encoding/json"
	"fmt"
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
