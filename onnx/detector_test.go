package onnx_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// network has nodes behind an image input "x", and outputs with their sizes.
func network(outputs map[string][]int, nodes ...*pb.NodeProto) *onnx.Model {
	g := &pb.GraphProto{Name: "g", Node: nodes, Input: []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(64), onnx.Sized(64))}}
	for name, sizes := range outputs {
		dims := []*pb.TensorShapeProto_Dimension{onnx.Named("N")}
		for _, s := range sizes {
			dims = append(dims, onnx.Sized(s))
		}
		g.Output = append(g.Output, onnx.NewValue(name, pb.TensorProto_FLOAT, dims...))
	}
	return onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: g})
}

func TestDetector(t *testing.T) {
	node := onnx.NewNode
	for name, c := range map[string]struct {
		model *onnx.Model
		says  string // "": no detector
	}{
		"YOLOv8":      {network(map[string][]int{"output0": {84, 8400}}, node("Relu", "box", []string{"x"}), node("Sigmoid", "class", []string{"x"}), node("Concat", "output0", []string{"box", "class"}, onnx.Int("axis", 1))), "output0 float[N,84,8400]"},
		"YOLOv5":      {network(map[string][]int{"out": {25200, 85}}, node("Relu", "a", []string{"x"}), node("Relu", "b", []string{"x"}), node("Concat", "all", []string{"a", "b"}, onnx.Int("axis", 1)), node("Transpose", "out", []string{"all"})), "out float[N,25200,85]"},
		"SSD":         {network(map[string][]int{"loc": {8732, 4}, "conf": {8732, 21}}, node("Relu", "loc", []string{"x"}), node("Relu", "conf", []string{"x"})), "[N,8732,4]"},
		"torchvision": {network(map[string][]int{"boxes": {4}, "labels": {}, "scores": {}}, node("Relu", "boxes", []string{"x"}), node("Relu", "labels", []string{"x"}), node("Relu", "scores", []string{"x"})), "boxes float[N,4]"},
		"chosen":      {network(map[string][]int{"picked": {3}}, node("NonMaxSuppression", "picked", []string{"x", "x"})), "operator NonMaxSuppression"},
		"tokens":      {network(map[string][]int{"last_hidden_state": {197, 768}}, node("LayerNormalization", "last_hidden_state", []string{"x"})), ""},
		"a map":       {network(map[string][]int{"y": {512, 7, 7}}, node("Concat", "y", []string{"x", "x"}, onnx.Int("axis", 1))), ""},
		"a backbone":  {backbone(t), ""},
		"classes":     {headed([]string{"y"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			what := c.model.Detector()
			if (what == "") != (c.says == "") || !strings.Contains(what, c.says) {
				t.Errorf("%q, want %q", what, c.says)
			}
			if i := c.model.Inspect(); i.Detector != what {
				t.Errorf("Inspect says %q", i.Detector)
			}
		})
	}
}

// TestAreScores tells features from scores.
func TestAreScores(t *testing.T) {
	for name, says := range map[string]string{"shares": "", "pooled_trunk": "", "gemm": "", "softmax": ""} {
		m := classifierFile(t, name)
		f, err := m.FeatureValue()
		if err != nil {
			t.Fatal(err)
		}
		if why := m.AreScores(f, 6); why != says {
			t.Errorf("%s: %q, want %q", name, why, says)
		}
	}
	relu := onnx.NewNode("Relu", "r", []string{"y"}) // no head behind it
	for name, c := range map[string]struct {
		model   *onnx.Model
		value   string
		columns int
		says    string
	}{
		"a softmax":      {headed([]string{"p"}, relu, onnx.NewNode("Softmax", "p", []string{"r"})), "p", 2, "softmax"},
		"a sigmoid":      {headed([]string{"p"}, relu, onnx.NewNode("Sigmoid", "p", []string{"r"})), "p", 2, "sigmoid"},
		"names":          {headed([]string{"r"}, relu).WithMetadata(onnx.ClassesKey, `["a","b"]`), "r", 2, "names 2 classes"},
		"other names":    {headed([]string{"r"}, relu).WithMetadata(onnx.ClassesKey, `["a","b"]`), "r", 3, ""},
		"ImageNet":       {headed([]string{"r"}, relu), "r", 1000, "ImageNet has 1000"},
		"not the output": {headed([]string{"r"}, relu), "flat", 1000, ""},
	} {
		if why := c.model.AreScores(c.value, c.columns); (why == "") != (c.says == "") || !strings.Contains(why, c.says) {
			t.Errorf("%s: %q, want %q", name, why, c.says)
		}
	}
}

// TestDetectorSpec asks a model whose Spec is that of a detector for features.
func TestDetectorSpec(t *testing.T) {
	spec := onnx.Spec{Version: 1, InputSize: [2]int{64, 64}, Crop: "none", Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw", Detect: &onnx.Detect{}}
	g := &pb.GraphProto{
		Input:  []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Named("H"), onnx.Named("W"))},
		Output: []*pb.ValueInfoProto{onnx.NewValue("p2", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Named("H"), onnx.Named("W"))},
		Node:   []*pb.NodeProto{onnx.NewNode("Relu", "p2", []string{"images"})},
	}
	m, err := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}}).WithSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Feature(spec); !errors.Is(err, onnx.ErrDetector) {
		t.Errorf("its features: %v", err)
	}
	if i := m.Inspect(); i.Feature != "" || i.Classifier != nil || i.Detector == "" || len(i.Problems) > 0 {
		t.Errorf("%+v", i)
	}
	m.Proto.Graph.Output = append(m.Proto.Graph.Output, onnx.NewValue("boxes", pb.TensorProto_FLOAT, onnx.Named("D"), onnx.Sized(4)))
	m.Proto.Graph.Node = append(m.Proto.Graph.Node, onnx.NewNode("Abs", "boxes", []string{"images"}))
	if i := m.Inspect(); i.Feature != "" || len(i.Problems) > 0 {
		t.Errorf("with boxes, too: %q, %q", i.Feature, i.Problems)
	}
}
