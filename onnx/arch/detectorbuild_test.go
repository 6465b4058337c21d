package arch_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestDetectorTensors checks names, shapes and order of each detector's tensors
// against those of torchvision's state_dict.
func TestDetectorTensors(t *testing.T) {
	for _, c := range lines(t, "detectors.tsv") {
		m := network(t, c[0], 91)
		var list strings.Builder
		for _, x := range m.Tensors() {
			fmt.Fprintln(&list, x.Name, strings.Trim(fmt.Sprint(x.Dims), "[]"))
		}
		n, _ := m.Parameters()
		if sum := sha256.Sum256([]byte(list.String())); fmt.Sprint(len(m.Tensors())) != c[1] || fmt.Sprint(n) != c[2] || hex.EncodeToString(sum[:]) != c[3] {
			t.Errorf("%s has %d tensors of %d elements, torchvision %s of %s, or other names", c[0], len(m.Tensors()), n, c[1], c[2])
		}
		if !slices.Contains(arch.Detectors, c[0]) {
			t.Errorf("%s is not among the detectors", c[0])
		}
	}
}

// style renames tensors of torchvision as another file has them.
type style struct {
	renames [][2]string // pairs of pattern and replacement, of which the first that fits counts
	last    bool        // the background is behind the other classes, or missing
}

var (
	newStyle = style{}
	oldStyle = style{renames: [][2]string{
		{`^(backbone\.fpn\.\w+_blocks\.\d)\.0\.`, "$1."}, {`^rpn\.head\.conv\.0\.0\.`, "rpn.head.conv."},
		{`^roi_heads\.mask_head\.0\.0\.`, "roi_heads.mask_head.mask_fcn1."}, {`^roi_heads\.mask_head\.1\.0\.`, "roi_heads.mask_head.mask_fcn2."},
		{`^roi_heads\.mask_head\.2\.0\.`, "roi_heads.mask_head.mask_fcn3."}, {`^roi_heads\.mask_head\.3\.0\.`, "roi_heads.mask_head.mask_fcn4."},
		{`^(head\.\w+\.conv)\.3\.0\.`, "$1.6."}, {`^(head\.\w+\.conv)\.2\.0\.`, "$1.4."}, {`^(head\.\w+\.conv)\.1\.0\.`, "$1.2."}, {`^(head\.\w+\.conv)\.0\.0\.`, "$1.0."},
	}}
)

// detectron2 are the names of Detectron2, whose pyramid begins at a level.
func detectron2(first int) style {
	s := style{last: true, renames: [][2]string{
		{`^backbone\.body\.conv1\.`, "backbone.bottom_up.stem.conv1."}, {`^backbone\.body\.bn1\.`, "backbone.bottom_up.stem.conv1.norm."},
		{`^backbone\.fpn\.extra_blocks\.`, "backbone.top_block."}, {`^rpn\.head\.conv\.0\.0\.`, "proposal_generator.rpn_head.conv."},
		{`^rpn\.head\.cls_logits\.`, "proposal_generator.rpn_head.objectness_logits."}, {`^rpn\.head\.bbox_pred\.`, "proposal_generator.rpn_head.anchor_deltas."},
		{`^roi_heads\.box_head\.fc6\.`, "roi_heads.box_head.fc1."}, {`^roi_heads\.box_head\.fc7\.`, "roi_heads.box_head.fc2."},
		{`^roi_heads\.mask_predictor\.conv5_mask\.`, "roi_heads.mask_head.deconv."}, {`^roi_heads\.mask_predictor\.mask_fcn_logits\.`, "roi_heads.mask_head.predictor."},
		{`^head\.classification_head\.cls_logits\.`, "head.cls_score."}, {`^head\.regression_head\.bbox_reg\.`, "head.bbox_pred."},
	}}
	for i := range 4 {
		stage, block := fmt.Sprintf(`^backbone\.body\.layer%d\.(\d+)\.`, i+1), fmt.Sprintf("backbone.bottom_up.res%d.$1.", i+2)
		s.renames = append(s.renames, [][2]string{
			{stage + `conv(\d)\.`, block + "conv$2."}, {stage + `bn(\d)\.`, block + "conv$2.norm."}, {stage + `downsample\.0\.`, block + "shortcut."}, {stage + `downsample\.1\.`, block + "shortcut.norm."},
			{fmt.Sprintf(`^backbone\.fpn\.inner_blocks\.%d\.0\.`, i), fmt.Sprintf("backbone.fpn_lateral%d.", i+first)}, {fmt.Sprintf(`^backbone\.fpn\.layer_blocks\.%d\.0\.`, i), fmt.Sprintf("backbone.fpn_output%d.", i+first)},
			{fmt.Sprintf(`^roi_heads\.mask_head\.%d\.0\.`, i), fmt.Sprintf("roi_heads.mask_head.mask_fcn%d.", i+1)},
			{fmt.Sprintf(`^head\.classification_head\.conv\.%d\.0\.`, i), fmt.Sprintf("head.cls_subnet.%d.", 2*i)}, {fmt.Sprintf(`^head\.regression_head\.conv\.%d\.0\.`, i), fmt.Sprintf("head.bbox_subnet.%d.", 2*i)},
		}...)
	}
	return s
}

// file are the tensors of a detector as a file of the style has them.
func (s style) file(t *testing.T, name string, classes int) (out []onnx.Tensor) {
	t.Helper()
	for _, x := range network(t, name, classes).Tensors() {
		data, dims := bytesOf(t, x), x.Dims
		if s.last {
			rows := int(x.Dims[0])
			each := len(data) / rows
			switch own := x.Name; {
			case strings.HasPrefix(own, "roi_heads.box_predictor.cls_score."):
				data = slices.Concat(data[each:], data[:each])
			case strings.HasPrefix(own, "roi_heads.box_predictor.bbox_pred."):
				data, dims = data[4*each:], append([]int64{dims[0] - 4}, dims[1:]...)
			case strings.HasPrefix(own, "roi_heads.mask_predictor.mask_fcn_logits."):
				data, dims = data[each:], append([]int64{dims[0] - 1}, dims[1:]...)
			}
		}
		for _, r := range s.renames {
			if p := regexp.MustCompile(r[0]); p.MatchString(x.Name) {
				x.Name = p.ReplaceAllString(x.Name, strings.ReplaceAll(strings.ReplaceAll(r[1], "$1", "${1}"), "$2", "${2}"))
				break
			}
		}
		x.Dims = dims
		out = append(out, holding(x, x.Name, pb.TensorProto_FLOAT, data))
	}
	return out
}

// float is a float32 tensor.
func float(name string, dims []int64, v ...float64) onnx.Tensor {
	var data []byte
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(x)))
	}
	return holding(onnx.Tensor{Dims: dims}, name, pb.TensorProto_FLOAT, data)
}

// TestDetectorWeights builds detectors of tensors in every style, also with counters,
// in half precision and behind a prefix, and wants the same tensors back.
func TestDetectorWeights(t *testing.T) {
	for _, c := range []struct {
		name, own string
		style     style
	}{
		{"fasterrcnn_tiny_fpn", "fasterrcnn_tiny_fpn", newStyle}, {"fasterrcnn_tiny_fpn_v2", "fasterrcnn_tiny_fpn_v2", newStyle},
		{"maskrcnn_tiny_fpn", "maskrcnn_tiny_fpn", oldStyle}, {"maskrcnn_tiny_fpn_v2", "maskrcnn_tiny_fpn_v2", newStyle},
		{"retinanet_tiny_fpn", "retinanet_tiny_fpn", oldStyle}, {"retinanet_tiny_fpn_v2", "retinanet_tiny_fpn_v2", newStyle},
		{"fasterrcnn_tiny_msra_fpn", "fasterrcnn_tiny_msra_fpn", detectron2(2)}, {"maskrcnn_tiny_msra_fpn", "maskrcnn_tiny_msra_fpn", detectron2(2)},
		{"retinanet_tiny_msra_fpn", "retinanet_tiny_msra_fpn", detectron2(3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain := c.style.file(t, c.name, 5)
			for _, want := range [][]onnx.Tensor{plain, checkpoint(plain)} {
				if got, err := arch.Recognize(want); got != c.own || err != nil {
					t.Fatalf("recognised %q, %v", got, err)
				}
				m, err := arch.Build(c.own, want, arch.Config{Normalize: true})
				if err != nil {
					t.Fatal(err)
				}
				if bad := m.Validate(); len(bad) > 0 {
					t.Fatal(bad)
				}
				got, err := arch.Weights(saved(t, m))
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, want)
			}
		})
	}
}

// TestBackground looks at the rows of the background of a detector of Detectron2.
func TestBackground(t *testing.T) {
	tensors := detectron2(2).file(t, "maskrcnn_tiny_msra_fpn", 5)
	m, err := arch.Build("maskrcnn_tiny_msra_fpn", tensors, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	raw := func(name string) []byte {
		b, err := m.Raw(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	in := func(name string) []byte {
		return bytesOf(t, tensors[slices.IndexFunc(tensors, func(x onnx.Tensor) bool { return x.Name == name })])
	}
	if got, want := raw("roi_heads.box_predictor.cls_score.bias"), in("roi_heads.box_predictor.cls_score.bias"); !bytes.Equal(got, append(want[16:], want[:16]...)) {
		t.Errorf("the biases of classes are % x, in the file % x", got, want)
	}
	if got, want := raw("roi_heads.box_predictor.bbox_pred.bias"), in("roi_heads.box_predictor.bbox_pred.bias"); !bytes.Equal(got, append(make([]byte, 16), want...)) {
		t.Errorf("the biases of boxes are % x, in the file % x", got, want)
	}
	if got, want := raw("roi_heads.mask_predictor.mask_fcn_logits.weight"), in("roi_heads.mask_head.predictor.weight"); !bytes.Equal(got, append(make([]byte, 4*32), want...)) {
		t.Errorf("the weights of masks are not zeros, then those of the file")
	}
}

// TestDetectorSpec looks at what differs between projects, and at what small tensors
// of a file change.
func TestDetectorSpec(t *testing.T) {
	spec := func(name string, tensors []onnx.Tensor, c arch.Config) onnx.Spec {
		t.Helper()
		m, err := arch.Build(name, tensors, c)
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	zero := 0.0
	s := spec("maskrcnn_tiny_fpn", newStyle.file(t, "maskrcnn_tiny_fpn", 91), arch.Config{BatchNormEps: &zero, Normalize: true})
	d := s.Detect
	if s.Channels != "rgb" || d.BatchNormEps != 0 || d.Images.Value != "normalize/div" || d.RoI.Aligned || !d.Anchors.Rounded || d.Background != "first" || d.Mask.Out != 28 {
		t.Errorf("torchvision: %+v", s)
	}
	if c := d.Classes; len(c) != 90 || c[0] != (onnx.DetectClass{ID: 1, Name: "person"}) || c[11].Name != "" || c[89] != (onnx.DetectClass{ID: 90, Name: "toothbrush"}) {
		t.Errorf("torchvision: classes %v", d.Classes)
	}
	s = spec("maskrcnn_tiny_msra_fpn", detectron2(2).file(t, "maskrcnn_tiny_msra_fpn", 81), arch.Config{})
	d = s.Detect
	if s.Channels != "bgr" || s.Range[1] != 255 || s.Std[0] != 1 || d.BatchNormEps != 1e-5 || d.Images.Value != "images" || !d.RoI.Aligned || d.Anchors.Rounded || d.Background != "last" {
		t.Errorf("Detectron2: %+v", s)
	}
	if c := d.Classes; len(c) != 80 || c[11] != (onnx.DetectClass{ID: 13, Name: "stop sign"}) || c[79].ID != 90 {
		t.Errorf("Detectron2: classes %v", d.Classes)
	}
	if c := spec("retinanet_tiny_fpn", newStyle.file(t, "retinanet_tiny_fpn", 91), arch.Config{}).Detect.Classes; len(c) != 91 || c[0].Name != "" || c[1] != (onnx.DetectClass{ID: 1, Name: "person"}) {
		t.Errorf("RetinaNet: classes %v", c)
	}
	c := spec("fasterrcnn_tiny_fpn", newStyle.file(t, "fasterrcnn_tiny_fpn", 3), arch.Config{Labels: []string{"cat", "dog"}}).Detect.Classes
	if !slices.Equal(c, []onnx.DetectClass{{ID: 1, Name: "cat"}, {ID: 2, Name: "dog"}}) {
		t.Errorf("labels: %v", c)
	}
	// A file trained from torchvision's backbone, with smaller anchors.
	other := detectron2(2).file(t, "fasterrcnn_tiny_msra_fpn", 3)
	other = append(other, float("pixel_mean", []int64{3, 1, 1}, 123.675, 116.28, 103.53), float("pixel_std", []int64{3, 1, 1}, 58.395, 57.12, 57.375))
	for i := range 5 {
		var v []float64
		for _, ratio := range []float64{0.5, 1, 3} {
			w, h := float64(int(16)<<i)/math.Sqrt(ratio), float64(int(16)<<i)*math.Sqrt(ratio)
			v = append(v, -w/2, -h/2, w/2, h/2)
		}
		other = append(other, float(fmt.Sprintf("proposal_generator.anchor_generator.cell_anchors.%d", i), []int64{3, 4}, v...))
	}
	if name, err := arch.Recognize(other); name != "fasterrcnn_tiny_fpn" || err != nil {
		t.Errorf("a std of its own: recognised %q, %v", name, err)
	}
	s = spec("fasterrcnn_tiny_fpn", other, arch.Config{})
	if a := s.Detect.Anchors; s.Channels != "rgb" || s.Std[0] < 58 || a.Sizes[4][0] != 256 || !slices.Equal(a.Ratios, []float64{0.5, 1, 3}) {
		t.Errorf("anchors and statistics of the file: %v %v %+v", s.Channels, s.Std, a)
	}
	for i := range other {
		switch other[i].Name {
		case "pixel_mean":
			other[i] = float("pixel_mean", []int64{3, 1, 1}, 103.53, 116.28, 123.675)
		case "pixel_std":
			other[i] = float("pixel_std", []int64{3, 1, 1}, 57.375, 57.12, 58.395)
		}
	}
	if s = spec("fasterrcnn_tiny_fpn", other, arch.Config{}); s.Channels != "bgr" || s.Std[0] > 58 {
		t.Errorf("a mean of blue first: %v %v", s.Channels, s.Std)
	}
}

// TestDetectorFaults gives Recognize and Build damaged detectors, and others.
func TestDetectorFaults(t *testing.T) {
	without := func(s style, name string, parts ...string) []onnx.Tensor {
		return slices.DeleteFunc(s.file(t, name, 5), func(x onnx.Tensor) bool {
			return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(x.Name, p) })
		})
	}
	reshaped := func(s style, name, of string, dims ...int64) []onnx.Tensor {
		all := s.file(t, name, 5)
		i := slices.IndexFunc(all, func(x onnx.Tensor) bool { return x.Name == of })
		all[i].Dims = dims
		all[i].Write = func(w io.Writer) error { _, err := w.Write(make([]byte, all[i].Size())); return err }
		return all
	}
	d2 := detectron2(2)
	for _, c := range []struct {
		what    string
		tensors []onnx.Tensor
		says    string
	}{
		{"no predictor", without(newStyle, "fasterrcnn_tiny_fpn", "cls_score"), "fasterrcnn_tiny_fpn: 2 missing: roi_heads.box_predictor.cls_score.weight, roi_heads.box_predictor.cls_score.bias"},
		{"no box head", without(d2, "fasterrcnn_tiny_msra_fpn", "box_head.fc1"), "fasterrcnn_tiny_msra_fpn: 2 missing: roi_heads.box_head.fc1.weight, roi_heads.box_head.fc1.bias"},
		{"no RPN", without(d2, "maskrcnn_tiny_msra_fpn", "rpn_head."), "6 missing: proposal_generator.rpn_head.conv.weight, proposal_generator.rpn_head.conv.bias, proposal_generator.rpn_head.objectness_logits.weight, "},
		{"half a mask head", without(newStyle, "maskrcnn_tiny_fpn", "mask_predictor."), "4 missing: roi_heads.mask_predictor.conv5_mask.weight"},
		{"no lateral", without(newStyle, "fasterrcnn_tiny_fpn", "inner_blocks.2."), "missing: backbone.fpn.inner_blocks.2.0.weight"},
		{"a block of the trunk", without(newStyle, "retinanet_tiny_fpn", "layer3.0.bn2"), "4 missing: backbone.body.layer3.0.bn2.weight"},
		{"a regression head", without(newStyle, "retinanet_tiny_fpn", "bbox_reg"), "2 missing: head.regression_head.bbox_reg.weight"},
		{"boxes without classes", reshaped(d2, "fasterrcnn_tiny_msra_fpn", "roi_heads.box_predictor.bbox_pred.weight", 4, 24), "1 of another shape or type: roi_heads.box_predictor.bbox_pred.weight float[8 24], expected [20 24]"},
		{"a narrow layer", reshaped(newStyle, "fasterrcnn_tiny_fpn", "roi_heads.box_head.fc7.weight", 24, 23), "roi_heads.box_head.fc7.weight float[24 23], expected [24 24]"},
		{"one more tensor", append(newStyle.file(t, "fasterrcnn_tiny_fpn", 5), float("extra.weight", []int64{1}, 1)), "1 not known: extra.weight"},
	} {
		name, err := arch.Recognize(c.tensors)
		var m *arch.Mismatch
		if !errors.As(err, &m) || !m.Detector || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v; expected %q", c.what, name, err, c.says)
		}
	}
	for part, says := range map[string]string{
		"roi_heads.keypoint_head.0.weight": "Keypoint R-CNN", "head.regression_head.bbox_ctrness.weight": "FCOS",
		"head.classification_head.module_list.0.weight": "an SSD", "roi_heads.res5.0.conv1.weight": "C4", "res2_0_branch2a_w": "Caffe2", "backbone.body.16.0.weight": "MobileNetV3",
	} {
		_, err := arch.Recognize(append(newStyle.file(t, "fasterrcnn_tiny_fpn", 5), float(part, []int64{1}, 1)))
		var u *arch.Unbuilt
		if !errors.As(err, &u) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected %q", part, err, says)
		}
	}
	rpn := newStyle.file(t, "fasterrcnn_tiny_fpn", 5)
	for i, x := range rpn {
		if strings.HasPrefix(x.Name, "rpn.head.cls_logits.") || strings.HasPrefix(x.Name, "rpn.head.bbox_pred.") {
			rpn[i] = holding(x, x.Name, x.DType, make([]byte, 2*x.Size()))
			rpn[i].Dims = append([]int64{2 * x.Dims[0]}, x.Dims[1:]...)
		}
	}
	nan, labels := math.NaN(), []string{"one"}
	fine := newStyle.file(t, "fasterrcnn_tiny_fpn", 5)
	for _, c := range []struct {
		name    string
		tensors []onnx.Tensor
		config  arch.Config
		says    string
	}{
		{"fasterrcnn_tiny_fpn", rpn, arch.Config{}, "6 anchors at each position, and fasterrcnn_tiny_fpn has 3: their sizes are not in the file"},
		{"fasterrcnn_tiny_fpn", fine, arch.Config{BatchNormEps: &nan}, "an epsilon of NaN"},
		{"fasterrcnn_tiny_fpn", fine, arch.Config{Labels: labels}, "1 labels, expected 4"},
		{"fasterrcnn_tiny_fpn", fine, arch.Config{InputSize: [2]int{64, 64}}, "images of any size"},
		{"fasterrcnn_tiny_fpn", fine, arch.Config{Headless: true}, "no features of whole images"},
		{"fasterrcnn_nonsense", fine, arch.Config{}, "unknown detector"},
		{"maskrcnn_tiny_fpn", fine, arch.Config{}, "maskrcnn_tiny_fpn: 12 missing: roi_heads.mask_head.0.0.weight"},
		{"fasterrcnn_tiny_fpn", network(t, "resnet8", 10).Tensors(), arch.Config{}, "no heads of a detector"},
	} {
		if _, err := arch.Build(c.name, c.tensors, c.config); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %+v: %v, expected %q", c.name, c.config, err, c.says)
		}
	}
}

// TestDetectron2Backbone takes a ResNet as Detectron2's tools convert it there and back.
func TestDetectron2Backbone(t *testing.T) {
	s := style{renames: [][2]string{
		{`^conv1\.`, "stem.conv1."}, {`^bn1\.`, "stem.conv1.norm."}, {`^fc\.`, "stem.fc."},
		{`^layer1\.(\d)\.conv(\d)\.`, "res2.$1.conv$2."}, {`^layer1\.(\d)\.bn(\d)\.`, "res2.$1.conv$2.norm."},
	}}
	for i := 2; i <= 4; i++ {
		layer, res := fmt.Sprintf(`^layer%d\.(\d)\.`, i), fmt.Sprintf("res%d.$1.", i+1)
		s.renames = append(s.renames, [][2]string{{layer + `conv(\d)\.`, res + "conv$2."}, {layer + `bn(\d)\.`, res + "conv$2.norm."}, {layer + `downsample\.0\.`, res + "shortcut."}, {layer + `downsample\.1\.`, res + "shortcut.norm."}}...)
	}
	want := s.file(t, "resnet18", 10)
	if name, err := arch.Recognize(want); name != "resnet18" || err != nil {
		t.Fatalf("recognised %q, %v", name, err)
	}
	m, err := arch.Build("resnet18", want, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := arch.Weights(m)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}
