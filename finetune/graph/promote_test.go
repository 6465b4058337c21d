package graph_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestPromoted has weights in a Constant node, and biases that share an initializer
// through Identity: each becomes a parameter of its own, and is written as one.
func TestPromoted(t *testing.T) {
	weight := onnx.NewNode("Constant", "v", nil, &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: onnx.NewFloats("", []int64{2, 2}, 1, 2, 3, 4)})
	m := small([]*pb.NodeProto{
		weight, onnx.NewNode("Identity", "b2", []string{"b1"}), onnx.NewNode("Identity", "b3", []string{"b2"}),
		onnx.NewNode("MatMul", "p", []string{"images", "v"}), onnx.NewNode("Add", "q", []string{"p", "b1"}),
		onnx.NewNode("MatMul", "r", []string{"q", "v"}), onnx.NewNode("Add", "y", []string{"r", "b3"}),
	}, onnx.NewFloats("b1", []int64{2}, 5, 6))
	n, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	kinds := map[string]graph.Kind{}
	for _, p := range n.Params() {
		names = append(names, p.Name)
		kinds[p.Name] = p.Kind
	}
	if want := []string{"v", "b1", "b3", "w"}; !slices.Equal(names, want) {
		t.Fatalf("parameters %q, expected %q", names, want)
	}
	if kinds["b3"] != graph.Bias || kinds["v"] != graph.Weight {
		t.Errorf("kinds %v", kinds)
	}
	if v, err := n.Values("b3"); err != nil || !slices.Equal(v, []float32{5, 6}) {
		t.Errorf("b3 is %v, %v", v, err)
	}
	trained, err := n.Export(func(name string, dst []float32) error {
		for i := range dst {
			dst[i] = float32(len(name) + int(name[0]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := trained.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := onnx.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if faults := back.Validate(); len(faults) > 0 {
		t.Error(faults)
	}
	for _, name := range names {
		if v, err := back.Floats(name); err != nil || v[0] != float32(len(name)+int(name[0])) {
			t.Errorf("%s is %v, %v", name, v, err)
		}
	}
	if len(m.Proto.Graph.Initializer) != 2 || len(m.Proto.Graph.Node) != 9 {
		t.Error("the model itself has changed")
	}
}

// small is a model of a linear layer, with more nodes and initializers.
func small(nodes []*pb.NodeProto, initializers ...*pb.TensorProto) *onnx.Model {
	m, err := onnx.New(&pb.ModelProto{
		IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}},
		Graph: &pb.GraphProto{
			Name: "small", Initializer: append(initializers, onnx.NewFloats("w", []int64{12, 2}, slices.Repeat([]float64{.5, -1, 2}, 8)...)),
			Node:   append(nodes, onnx.NewNode("Flatten", "flat", []string{"y"}), onnx.NewNode("MatMul", "logits", []string{"flat", "w"})),
			Input:  []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(2), onnx.Sized(2))},
			Output: []*pb.ValueInfoProto{onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(2))},
		},
	}).WithSpec(onnx.Spec{Version: 1, InputSize: [2]int{2, 2}, Crop: "none", Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw", Normalized: true, Input: "images"})
	if err != nil {
		panic(err)
	}
	return m
}
