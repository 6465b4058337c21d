package checkpoint_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// pickled is a file of Detectron2's model zoo: a pickle of numpy arrays.
func pickled(t testing.TB, author string, tensors []onnx.Tensor) string {
	t.Helper()
	p := []byte("\x80\x03}(")
	text := func(s string) {
		p = append(binary.LittleEndian.AppendUint32(append(p, 'X'), uint32(len(s))), s...)
	}
	number := func(n int64) { p = binary.LittleEndian.AppendUint32(append(p, 'J'), uint32(n)) }
	text("model")
	p = append(p, "}("...)
	for _, x := range tensors {
		text(x.Name)
		p = append(p, "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01("...)
		for _, d := range x.Dims {
			number(d)
		}
		p = append(p, "tcnumpy\ndtype\n"...)
		text("f4")
		p = append(p, "K\x00K\x01\x87R(K\x03"...)
		text("<")
		p = append(p, "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"...)
		data := bytesOf(t, x)
		p = append(binary.LittleEndian.AppendUint32(append(p, 'B'), uint32(len(data))), data...)
		p = append(p, "tb"...)
	}
	p = append(p, 'u')
	text("__author__")
	text(author)
	return write(t, "model_final.pkl", append(p, "u."...))
}

// detectron2 are the tensors of a small Faster R-CNN under Detectron2's names.
func detectron2(t testing.TB, classes int) (out []onnx.Tensor) {
	names := strings.NewReplacer("backbone.body.conv1.", "backbone.bottom_up.stem.conv1.", "backbone.body.bn1.", "backbone.bottom_up.stem.conv1.norm.",
		"backbone.body.layer1.", "backbone.bottom_up.res2.", "backbone.body.layer2.", "backbone.bottom_up.res3.", "backbone.body.layer3.", "backbone.bottom_up.res4.",
		"backbone.body.layer4.", "backbone.bottom_up.res5.", ".bn1.", ".conv1.norm.", ".bn2.", ".conv2.norm.", ".bn3.", ".conv3.norm.", ".downsample.0.", ".shortcut.", ".downsample.1.", ".shortcut.norm.",
		"fpn.inner_blocks.0.0.", "fpn_lateral2.", "fpn.inner_blocks.1.0.", "fpn_lateral3.", "fpn.inner_blocks.2.0.", "fpn_lateral4.", "fpn.inner_blocks.3.0.", "fpn_lateral5.",
		"fpn.layer_blocks.0.0.", "fpn_output2.", "fpn.layer_blocks.1.0.", "fpn_output3.", "fpn.layer_blocks.2.0.", "fpn_output4.", "fpn.layer_blocks.3.0.", "fpn_output5.",
		"rpn.head.conv.0.0.", "proposal_generator.rpn_head.conv.", "rpn.head.cls_logits.", "proposal_generator.rpn_head.objectness_logits.", "rpn.head.bbox_pred.", "proposal_generator.rpn_head.anchor_deltas.",
		"box_head.fc6.", "box_head.fc1.", "box_head.fc7.", "box_head.fc2.")
	for _, x := range weights(t, "fasterrcnn_tiny_fpn", classes, "") {
		data := bytesOf(t, x)
		if strings.HasPrefix(x.Name, "roi_heads.box_predictor.bbox_pred.") {
			data = data[4*len(data)/int(x.Dims[0]):]
			x.Dims = append([]int64{x.Dims[0] - 4}, x.Dims[1:]...)
		}
		v := make([]float32, len(data)/4)
		binary.Decode(data, binary.LittleEndian, v)
		out = append(out, values(names.Replace("/" + x.Name)[1:], x.Dims, v...))
	}
	return out
}

// TestDetectron2File imports a file of numpy arrays and takes its weights back.
func TestDetectron2File(t *testing.T) {
	want := detectron2(t, 4)
	for author, name := range map[string]string{"Detectron2 Model Zoo": "fasterrcnn_tiny_msra_fpn", "torchvision": "fasterrcnn_tiny_fpn"} {
		im := imported(t, pickled(t, author, want), checkpoint.Config{})
		if im.Spec.Arch != name || im.Classes != 3 || im.File.Format != "pickle" || im.Network.Layout != "state_dict (model)" {
			t.Errorf("%s: %s, %d classes, %s, %s", author, im.Spec.Arch, im.Classes, im.File.Format, im.Network.Layout)
		}
		if channels := map[bool]string{true: "bgr", false: "rgb"}[strings.Contains(name, "msra")]; im.Spec.Channels != channels || im.Spec.Detect.Images.Value != "normalize/div" {
			t.Errorf("%s: %+v", author, im.Spec)
		}
		s, err := checkpoint.Weights(im.Model, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Tensors) != len(want) {
			t.Fatalf("%s: %d tensors, expected %d", author, len(s.Tensors), len(want))
		}
		for i, x := range s.Tensors {
			if x.Name != want[i].Name || !slices.Equal(x.Dims, want[i].Dims) || string(bytesOf(t, x)) != string(bytesOf(t, want[i])) {
				t.Errorf("%s: %s %v, expected %s %v", author, x.Name, x.Dims, want[i].Name, want[i].Dims)
			}
		}
	}
	// --arch says where the stride is, whatever the file says.
	im := imported(t, pickled(t, "someone", want), checkpoint.Config{Arch: "fasterrcnn_tiny_fpn"})
	if im.Spec.Arch != "fasterrcnn_tiny_fpn" {
		t.Errorf("asked for another stride: %s", im.Spec.Arch)
	}
}

// TestDetectorImport imports detectors that torch.save wrote, whole, damaged and beside
// another network.
func TestDetectorImport(t *testing.T) {
	whole := weights(t, "maskrcnn_tiny_fpn", 4, "module.")
	im := imported(t, zipped(t, "model", whole), checkpoint.Config{Labels: []string{"a", "b", "c"}})
	if d := im.Spec.Detect; im.Spec.Arch != "maskrcnn_tiny_fpn" || im.Classes != 3 || d.Classes[2].Name != "c" || d.BatchNormEps != 1e-5 || im.Normalization != checkpoint.NormalizedByArch {
		t.Errorf("%s, %d classes, %+v", im.Spec.Arch, im.Classes, d)
	}
	zero := 0.0
	im = imported(t, zipped(t, "model", weights(t, "maskrcnn_tiny_fpn_v2", 4, "")), checkpoint.Config{BatchNormEps: &zero, NormalizeOutside: true})
	if d := im.Spec.Detect; d.BatchNormEps != 0 || d.Images.Value != "images" || im.Spec.Mean == nil {
		t.Errorf("eps 0: %+v", im.Spec)
	}
	for _, n := range im.Model.Proto.Graph.Node {
		if n.OpType == "BatchNormalization" && n.Attribute[0].F != 0 {
			t.Fatalf("%s has an epsilon of %v", n.Name, n.Attribute[0].F)
		}
	}
	var labels *checkpoint.LabelsError
	if _, err := checkpoint.Import(zipped(t, "", whole), checkpoint.Config{Labels: []string{"a"}}); !errors.As(err, &labels) || labels.Classes != 3 {
		t.Errorf("one label: %v", err)
	}
	// A detector without its predictor is no backbone.
	damaged := zipped(t, "model", backboneOnly(t))
	var mismatch *arch.Mismatch
	if _, err := checkpoint.Import(damaged, checkpoint.Config{}); !errors.As(err, &mismatch) || !mismatch.Detector || len(mismatch.Missing) != 2 {
		t.Errorf("without a predictor: %v", err)
	}
	other := append(slices.Clone(whole), values("module.roi_heads.keypoint_head.0.weight", []int64{1}, 1))
	var unbuilt *arch.Unbuilt
	if _, err := checkpoint.Import(zipped(t, "model", other), checkpoint.Config{}); !errors.As(err, &unbuilt) {
		t.Errorf("keypoints: %v", err)
	}
	im = imported(t, damaged, checkpoint.Config{Arch: "resnet18"})
	if im.Spec.Arch != "resnet18" || im.Classes != 0 {
		t.Errorf("the backbone of a detector: %s, %d classes", im.Spec.Arch, im.Classes)
	}
}

// backboneOnly is a detector whose trunk is a ResNet-18, without its predictor.
func backboneOnly(t testing.TB) []onnx.Tensor {
	all := weights(t, "fasterrcnn_resnet18_fpn", 4, "")
	return slices.DeleteFunc(all, func(x onnx.Tensor) bool { return strings.Contains(x.Name, "cls_score") })
}
