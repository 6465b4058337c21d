package cli_test

import (
	"encoding/json"
	"testing"
)

// TestParityDetectors takes the weights of detectors, as torchvision saves them and as
// Detectron2's model zoo has them, to ONNX and back, and compares every output of
// trunk and heads with that of torchvision's modules.
func TestParityDetectors(t *testing.T) {
	interpreter := peer(t, "PYTHON", "torch, torchvision, onnx, onnxruntime")
	for _, c := range []struct{ network, style, arch string }{
		{"fasterrcnn_resnet50_fpn", "new", "fasterrcnn_resnet50_fpn"},
		{"fasterrcnn_resnet50_fpn", "old", "fasterrcnn_resnet50_fpn"},
		{"fasterrcnn_resnet50_fpn_v2", "new", "fasterrcnn_resnet50_fpn_v2"},
		{"fasterrcnn_resnet18_fpn", "new", "fasterrcnn_resnet18_fpn"},
		{"fasterrcnn_resnet101_fpn", "new", "fasterrcnn_resnet101_fpn"},
		{"maskrcnn_resnet50_fpn", "new", "maskrcnn_resnet50_fpn"},
		{"maskrcnn_resnet50_fpn", "old", "maskrcnn_resnet50_fpn"},
		{"maskrcnn_resnet50_fpn_v2", "new", "maskrcnn_resnet50_fpn_v2"},
		{"frozen", "frozen", "maskrcnn_resnet50_fpn"},
		{"retinanet_resnet50_fpn", "new", "retinanet_resnet50_fpn"},
		{"retinanet_resnet50_fpn", "old", "retinanet_resnet50_fpn"},
		{"retinanet_resnet50_fpn_v2", "new", "retinanet_resnet50_fpn_v2"},
		{"faster_rcnn_R_50_FPN", "detectron2", "fasterrcnn_resnet50_msra_fpn"},
		{"mask_rcnn_R_50_FPN", "detectron2", "maskrcnn_resnet50_msra_fpn"},
		{"mask_rcnn_R_101_FPN", "detectron2", "maskrcnn_resnet101_msra_fpn"},
		{"mask_rcnn_X_101_32x8d_FPN", "detectron2", "maskrcnn_resnext101_32x8d_fpn"},
		{"retinanet_R_50_FPN", "detectron2", "retinanet_resnet50_msra_fpn"},
	} {
		t.Run(c.network+"_"+c.style, func(t *testing.T) {
			var r struct {
				About   string
				Tensors int
				Arch    string
				Apart   map[string]float64
			}
			text := python(t, interpreter, "parity_detectors.py", command(t).Path, t.TempDir(), c.network, c.style)
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			most := 0.0
			for name, d := range r.Apart {
				most = max(most, d)
				if !(d <= 1e-4) {
					t.Errorf("%s differs by %.1e of the largest value, at most 1e-4", name, d)
				}
			}
			t.Logf("%s: %d tensors, equal; %d values differ by at most %.1e; %s", r.Arch, r.Tensors, len(r.Apart), most, r.About)
			if r.Arch != c.arch {
				t.Errorf("it is taken for %s, expected %s", r.Arch, c.arch)
			}
		})
	}
}
