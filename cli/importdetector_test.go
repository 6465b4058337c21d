package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/torch/torchtest"
)

// detectorFile is a checkpoint of a small detector, and its tensors; change may rename
// or leave out tensors.
func detectorFile(t *testing.T, name string, classes int, change func(onnx.Tensor) (onnx.Tensor, bool)) (string, []onnx.Tensor) {
	t.Helper()
	m, err := arch.Synthetic(name, classes)
	if err != nil {
		t.Fatal(err)
	}
	var all []onnx.Tensor
	for _, x := range m.Tensors() {
		if x, ok := change(x); ok {
			all = append(all, x)
		}
	}
	var b bytes.Buffer
	if err := torchtest.Save(&b, "model", all); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".pth")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path, all
}

func unchanged(x onnx.Tensor) (onnx.Tensor, bool) { return x, true }

// TestImportDetectorKinds takes detectors to ONNX and back.
func TestImportDetectorKinds(t *testing.T) {
	for _, c := range []struct{ name, kind string }{
		{"fasterrcnn_tiny_fpn_v2", "Faster R-CNN"}, {"maskrcnn_tiny_fpn", "Mask R-CNN"}, {"retinanet_tiny_fpn_v2", "RetinaNet"},
	} {
		path, want := detectorFile(t, c.name, 91, func(x onnx.Tensor) (onnx.Tensor, bool) {
			x.Name = "module." + x.Name
			return x, true
		})
		model, back := filepath.Join(t.TempDir(), "m.onnx"), filepath.Join(t.TempDir(), "m.safetensors")
		o := call("import", path, "-o", model)
		if o.code != 0 || !strings.Contains(o.stderr, "not in the file: those of torchvision") || !strings.Contains(o.stderr, "the 80 of COCO") || !strings.Contains(o.stderr, "--bn-eps 0") {
			t.Fatalf("%s: %+v", c.name, o)
		}
		o = call("inspect", model)
		for _, text := range []string{c.kind + ", maps of stride", "80: person, bicycle", "torchvision", "epsilon 1e-05", "shorter side to 800", "images of any size", c.name} {
			if !strings.Contains(o.stdout, text) {
				t.Errorf("inspect %s says nothing of %q: %s", c.name, text, o.stdout)
			}
		}
		if o := call("export", model, "-o", back, "-q"); o.code != 0 {
			t.Fatalf("export %s: %+v", c.name, o)
		}
		got := readTensors(t, back)
		for _, x := range want {
			if !bytes.Equal(got[x.Name], tensorValues(t, x)) {
				t.Errorf("%s: %s comes back otherwise", c.name, x.Name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d tensors, expected %d", c.name, len(got), len(want))
		}
	}
}

// readTensors are the bytes of the tensors of a .safetensors file.
func readTensors(t *testing.T, path string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := int(data[0]) | int(data[1])<<8 | int(data[2])<<16
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for name, x := range header {
		if name != "__metadata__" {
			out[name] = data[8+n+x.Offsets[0] : 8+n+x.Offsets[1]]
		}
	}
	return out
}

func tensorValues(t *testing.T, x onnx.Tensor) []byte {
	t.Helper()
	data, err := x.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestImportDetectorSays gives import damaged and other detectors, and flags that do
// not go with them: a line and an exit code for each.
func TestImportDetectorSays(t *testing.T) {
	whole, _ := detectorFile(t, "maskrcnn_tiny_fpn", 4, unchanged)
	without := func(parts ...string) string {
		path, _ := detectorFile(t, "maskrcnn_tiny_fpn", 4, func(x onnx.Tensor) (onnx.Tensor, bool) {
			return x, !slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(x.Name, p) })
		})
		return path
	}
	narrow, _ := detectorFile(t, "maskrcnn_tiny_fpn", 4, func(x onnx.Tensor) (onnx.Tensor, bool) {
		if x.Name == "roi_heads.box_predictor.bbox_pred.weight" {
			x.Dims = []int64{4, 24}
			x.Write = func(w io.Writer) error { _, err := w.Write(make([]byte, 4*4*24)); return err }
		}
		return x, true
	})
	keypoints, _ := detectorFile(t, "maskrcnn_tiny_fpn", 4, func(x onnx.Tensor) (onnx.Tensor, bool) {
		x.Name = strings.Replace(x.Name, "roi_heads.mask_head", "roi_heads.keypoint_head", 1)
		return x, true
	})
	integers, _ := detectorFile(t, "maskrcnn_tiny_fpn", 4, func(x onnx.Tensor) (onnx.Tensor, bool) {
		if x.Name == "rpn.head.cls_logits.bias" {
			x.DType = pb.TensorProto_INT64
			x.Write = func(w io.Writer) error { _, err := w.Write(make([]byte, 3*8)); return err }
		}
		return x, true
	})
	plain := filepath.Join(t.TempDir(), "resnet8.pth")
	saved(t, plain, state(t, "resnet8"))
	labels := filepath.Join(t.TempDir(), "labels.txt")
	if err := os.WriteFile(labels, []byte("cat\ndog\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{65, "2 missing: roi_heads.box_predictor.cls_score.weight, roi_heads.box_predictor.cls_score.bias", []string{without("cls_score")}},
		{65, "4 missing: roi_heads.mask_predictor.conv5_mask.weight", []string{without("mask_predictor")}},
		{65, "10 missing: ", []string{without("rpn.", "box_head")}},
		{65, "roi_heads.box_predictor.bbox_pred.weight float[4 24], expected [16 24]", []string{narrow}},
		{65, "rpn.head.cls_logits.bias int64[3], expected [3]", []string{integers}},
		{65, "Keypoint R-CNN, of which no model is made", []string{keypoints}},
		{65, "retinanet_resnet50_fpn: ", []string{whole, "--arch", "retinanet_resnet50_fpn"}},
		{2, "--arch is \"maskrcnn_resnet51_fpn\"", []string{whole, "--arch", "maskrcnn_resnet51_fpn"}},
		{2, "--labels names 2 classes, and the checkpoint has 3", []string{whole, "--labels", labels}},
		{2, "--bn-eps is \"much\"", []string{whole, "--bn-eps", "much"}},
		{2, "--bn-eps is \"-1\"", []string{whole, "--bn-eps=-1"}},
		{2, "--bn-eps goes with a detector", []string{plain, "--bn-eps", "0"}},
		{2, "--input-size means nothing for a detector", []string{whole, "--input-size", "64"}},
		{2, "--crop means nothing for a detector", []string{whole, "--crop", "none"}},
		{2, "--no-normalize means nothing for a detector", []string{whole, "--no-normalize"}},
	} {
		o := call(append([]string{"import", "-o", filepath.Join(t.TempDir(), "m.onnx")}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.says) || strings.Count(o.stderr, "rtx: error:") != 1 {
			t.Errorf("import %q: %d %s; expected %d %q", c.args[1:], o.code, o.stderr, c.code, c.says)
		}
	}
	if o := call("inspect", without("cls_score")); o.code != 0 || !strings.Contains(o.stdout, "not recognised") || !strings.Contains(o.stdout, "cls_score") {
		t.Errorf("inspect of a damaged detector: %+v", o)
	}
}

// TestImportDetectorEps asks for an epsilon of 0, and for none.
func TestImportDetectorEps(t *testing.T) {
	path, _ := detectorFile(t, "fasterrcnn_tiny_fpn", 4, unchanged)
	for eps, want := range map[string]string{"0": "epsilon 0", "auto": "epsilon 1e-05", "0.001": "epsilon 0.001"} {
		model := filepath.Join(t.TempDir(), "m.onnx")
		if o := call("import", path, "-o", model, "--bn-eps", eps, "-q"); o.code != 0 {
			t.Fatal(o)
		}
		if o := call("inspect", model); !strings.Contains(o.stdout, want) {
			t.Errorf("--bn-eps %s: %s", eps, o.stdout)
		}
	}
}
