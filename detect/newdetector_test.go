package detect_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestParityTorchvisionNewDetector compares detectors that were put on a backbone with torchvision,
// of the same weights, before they are trained, as TestParityTorchvision does.
func TestParityTorchvisionNewDetector(t *testing.T) {
	interpreter := torchvision(t)
	for _, kind := range []string{arch.FasterRCNN, arch.MaskRCNN, arch.RetinaNet} {
		t.Run(kind, func(t *testing.T) {
			backbone, err := arch.Synthetic("resnet50", 10)
			if err != nil {
				t.Fatal(err)
			}
			core, err := arch.NewDetector(backbone, kind, []onnx.DetectClass{{ID: 1, Name: "cup"}, {ID: 2, Name: "hat"}}, arch.DetectorConfig{MinSize: 320, MaxSize: 533, Seed: 5})
			if err != nil {
				t.Fatal(err)
			}
			p := &parity{T: t, python: interpreter, name: kind, low: 320, high: 533, eps: 1e-5}
			p.run(louder(t, core, 2.2), bccd(t, 1+count(t)/4))
		})
	}
}

// TestNewDetector runs detectors that were put on backbones, as cores and deployed. The
// graph and the post-processing in Go find the same where images are not scaled.
func TestNewDetector(t *testing.T) {
	for _, c := range []struct{ backbone, kind, conventions string }{
		{"resnet8", arch.MaskRCNN, "torchvision"}, {"resnet8", arch.RetinaNet, "detectron2"}, {"shufflenet_v2_x1_0", arch.FasterRCNN, "detectron2"},
		{"mobilenetv1_1.0_imagenet_trunc_pw12.onnx", arch.MaskRCNN, "torchvision"},
	} {
		if testing.Short() && c.backbone != "resnet8" {
			continue
		}
		t.Run(c.kind+" on "+c.backbone, func(t *testing.T) {
			core := onBackbone(t, c.backbone, c.kind, c.conventions)
			deployed, err := detect.Deploy(core, detect.DeployConfig{})
			if err != nil {
				t.Fatal(err)
			}
			a, b := open(t, core), open(t, deployed)
			sizes := [][2]int{{160, 96}, {96, 128}}
			if c.backbone == "resnet8" { // scaled, and so rounded
				sizes = append(sizes, [2]int{99, 64})
			}
			for _, size := range sizes {
				img := picture(size[0], size[1], 5)
				x, err := a.Detect(context.Background(), img)
				if err != nil {
					t.Fatal(err)
				}
				y, err := b.Detect(context.Background(), img)
				if err != nil {
					t.Fatal(err)
				}
				d := compare(x, y)
				if len(x) < 10 || len(d.alone) > 0 && size[0] != 99 || d.mask > 2e-2 {
					t.Errorf("%v: %d and %d detections, %d of them alone, masks %g apart", size, len(x), len(y), len(d.alone), d.mask)
				}
			}
		})
	}
}

// onBackbone is a small detector on a backbone of made-up weights, which detects
// something before it is trained.
func onBackbone(t *testing.T, backbone, kind, conventions string) *onnx.Model {
	t.Helper()
	var m *onnx.Model
	var err error
	if strings.HasSuffix(backbone, ".onnx") {
		m = mobilenet(t, backbone)
	} else if m, err = arch.Synthetic(backbone, 10); err != nil {
		t.Fatal(err)
	}
	classes := []onnx.DetectClass{{ID: 1, Name: "cup"}, {ID: 2, Name: "hat"}}
	m, err = arch.NewDetector(m, kind, classes, arch.DetectorConfig{Conventions: conventions, Channels: 16, Hidden: 24, MinSize: 96, MaxSize: 160, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Detect.Test.Score = 1e-3
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	return louder(t, m, 8)
}

// mobilenet is a file of the shared data whose network takes pixels in [-1,1], which the
// file does not say.
func mobilenet(t *testing.T, name string) *onnx.Model {
	t.Helper()
	data := os.Getenv("RTX_SHARED_DATA")
	if data == "" {
		data = "../../shared/data"
	}
	file := filepath.Join(data, "nets", name)
	if _, err := os.Stat(file); err != nil {
		t.Skip(err)
	}
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.SetMean([]float64{0.5, 0.5, 0.5}, []float64{0.5, 0.5, 0.5})
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	return m
}

// louder scales the weights of the heads of a one-stage detector up: all anchors have
// about the same score at first, and it would be chance which of them stay.
func louder(t *testing.T, m *onnx.Model, by float32) *onnx.Model {
	t.Helper()
	var names []string
	for _, x := range m.Tensors() {
		if strings.HasPrefix(x.Name, "head.") && strings.HasSuffix(x.Name, ".weight") {
			names = append(names, x.Name)
		}
	}
	loud, err := m.WithFloats(names, func(name string, dst []float32) error {
		v, err := m.Floats(name)
		for i := range v {
			dst[i] = by * v[i]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return loud
}
