package arch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// things are classes of a made-up data set.
var things = []onnx.DetectClass{{ID: 1, Name: "cup"}, {ID: 2, Name: "hat"}, {ID: 7, Name: "key"}}

// detectorOn puts a small detector on a backbone.
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

// TestNewDetectorLevels puts detectors on every family of backbones, and looks at the
// levels of their pyramids.
func TestNewDetectorLevels(t *testing.T) {
	four := [2]string{"4 8 16 32 64", "8 16 32 64 128"}
	for name, want := range map[string][2]string{
		"resnet18": four, "resnet50": four, "resnext50_32x4d": four, "wide_resnet50_2": four, "densenet161": four, "vgg16_bn": four,
		"mobilenet_v2": four, "shufflenet_v2_x1_0": four, "mnasnet1_0": four,
		"cifar_resnet18": {"4 8 16", "4 8 16 32"}, "cifar_resnet50": {"4 8 16", "4 8 16 32"}, "resnet8": {"4 8 16", "4 8 16 32"},
		"cifar_resnet20": {"strides [1 2 4]", "strides [1 2 4]"}, "resnet2b": {"strides [2 4]", "strides [2 4]"},
	} {
		backbone := network(t, name, 10)
		for i, kind := range []string{arch.MaskRCNN, arch.RetinaNet} {
			m, err := arch.NewDetector(backbone, kind, things, arch.DetectorConfig{Channels: 8, Hidden: 16})
			if err != nil {
				if !strings.Contains(err.Error(), want[i]) {
					t.Errorf("%s on %s: %v", kind, name, err)
				}
				continue
			}
			s, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			var strides []string
			for k, l := range s.Detect.Levels {
				strides = append(strides, fmt.Sprint(l.Stride))
				if size := s.Detect.Anchors.Sizes[k][0]; size != float64(l.Stride*[]int{8, 4}[i]) || l.Channels != 8 {
					t.Errorf("%s on %s: level %+v with anchors of %v", kind, name, l, size)
				}
			}
			if got := strings.Join(strides, " "); got != want[i] {
				t.Errorf("%s on %s has levels of strides %s, expected %s", kind, name, got, want[i])
			}
		}
	}
}
