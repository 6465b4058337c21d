package arch_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestNewDetectorWeights gives the tensors of detectors on backbones back under the names
// of the project whose conventions they follow.
func TestNewDetectorWeights(t *testing.T) {
	for _, kind := range []string{arch.FasterRCNN, arch.MaskRCNN, arch.RetinaNet} {
		backbone, err := arch.Untrained("resnet18", 10, 1, arch.Config{Normalize: true})
		if err != nil {
			t.Fatal(err)
		}
		m, _ := detectorOn(t, backbone, kind, arch.DetectorConfig{Channels: 16, Hidden: 32})
		tensors, err := arch.Weights(m)
		if err != nil {
			t.Fatal(err)
		}
		built, err := arch.Build(kind+"_resnet18_fpn", tensors, arch.Config{Normalize: true})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		sameValues(t, kind, m, built)

		m, _ = detectorOn(t, backbone, kind, arch.DetectorConfig{Channels: 16, Hidden: 32, Conventions: "detectron2"})
		if tensors, err = arch.Weights(m); err != nil {
			t.Fatal(err)
		}
		for i, want := range [][]float64{{123.675, 116.28, 103.53}, {58.395, 57.12, 57.375}} {
			x := tensors[i]
			if name := []string{"pixel_mean", "pixel_std"}[i]; x.Name != name || !slices.Equal(x.Dims, []int64{3, 1, 1}) {
				t.Fatalf("%s: tensor %d is %s %v, expected %s", kind, i, x.Name, x.Dims, name)
			}
			for c, raw := 0, bytesOf(t, x); c < 3; c++ {
				if v := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*c:])); math.Abs(float64(v)-want[c]) > 1e-4 {
					t.Errorf("%s: %s of channel %d is %v, want %v", kind, x.Name, c, v, want[c])
				}
			}
		}
		for _, x := range tensors[2:] {
			if !strings.HasPrefix(x.Name, "backbone.bottom_up.") && !strings.HasPrefix(x.Name, "backbone.fpn_") && !strings.HasPrefix(x.Name, "backbone.top_block.") &&
				!strings.HasPrefix(x.Name, "proposal_generator.rpn_head.") && !strings.HasPrefix(x.Name, "roi_heads.") && !strings.HasPrefix(x.Name, "head.") {
				t.Errorf("%s: %s is no name of Detectron2", kind, x.Name)
			}
			if rows := map[string]int64{"roi_heads.box_predictor.cls_score.bias": 4, "roi_heads.box_predictor.bbox_pred.bias": 12, "roi_heads.mask_head.predictor.bias": 3}[x.Name]; rows > 0 && x.Dims[0] != rows {
				t.Errorf("%s: %s has %v rows, expected %d", kind, x.Name, x.Dims, rows)
			}
		}
		if built, err = arch.Build(kind+"_resnet18_fpn", tensors, arch.Config{Normalize: true}); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		sameValues(t, kind, m, built, "normalize/mean", "normalize/std", "roi_heads.box_predictor.bbox_pred.weight", "roi_heads.box_predictor.bbox_pred.bias", "roi_heads.mask_predictor.mask_fcn_logits.weight", "roi_heads.mask_predictor.mask_fcn_logits.bias") // colours, and the background's rows, which the file does not have
	}
	m, _ := detectorOn(t, network(t, "mobilenet_v2", 10), arch.FasterRCNN, arch.DetectorConfig{Channels: 16, Hidden: 32})
	tensors, err := arch.Weights(m)
	if err != nil || tensors[0].Name != "backbone.body.features.0.0.weight" || len(tensors) != len(m.Tensors()) {
		t.Errorf("%d tensors of %d, %v", len(tensors), len(m.Tensors()), err)
	}
}

// sameValues wants the parameters of a detector on a backbone to be those of one that was
// built, but for some. Values of large ones are not compared.
func sameValues(t *testing.T, what string, on, built *onnx.Model, but ...string) {
	t.Helper()
	theirs := map[string]onnx.Tensor{}
	for _, x := range built.Tensors() {
		theirs[strings.TrimPrefix(x.Name, "backbone.body.")] = x
	}
	for _, x := range on.Tensors() {
		if y, ok := theirs[x.Name]; !ok || x.Elements() < 1<<17 && !slices.Contains(but, x.Name) && !slices.Equal(bytesOf(t, x), bytesOf(t, y)) {
			t.Errorf("%s: %s is not as it was", what, x.Name)
		}
	}
	if len(theirs) != len(on.Tensors()) {
		t.Errorf("%s: %d tensors became %d", what, len(on.Tensors()), len(theirs))
	}
}
