package runtime_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// where is a model that finds the elements of a matrix other than 0: values [1,D],
// places [2,D], and whether each is above 1.
func where() *onnx.Model {
	value := onnx.NewValue
	g := &pb.GraphProto{Name: "where",
		Input: []*pb.ValueInfoProto{value("x", pb.TensorProto_FLOAT, onnx.Named("H"), onnx.Named("W"))},
		Output: []*pb.ValueInfoProto{value("places", pb.TensorProto_INT64, onnx.Sized(2), onnx.Named("D")),
			value("values", pb.TensorProto_FLOAT, onnx.Named("D")), value("large", pb.TensorProto_BOOL, onnx.Named("D"))},
		Initializer: []*pb.TensorProto{onnx.NewFloats("one", nil, 1)},
		Node: []*pb.NodeProto{onnx.NewNode("NonZero", "places", []string{"x"}),
			onnx.NewNode("Transpose", "t", []string{"places"}),
			onnx.NewNode("GatherND", "values", []string{"x", "t"}),
			onnx.NewNode("Greater", "large", []string{"values", "one"})}}
	return onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: g})
}

// TestGraph runs a model for inputs of several shapes, one of which gives empty outputs.
func TestGraph(t *testing.T) {
	g, err := runtime.OpenGraph(where(), runtime.Options{Library: library(t), Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, c := range []struct {
		in     onnx.Array
		places onnx.Array
		values []float32
		large  []int64
	}{
		{onnx.Array{Dims: []int{2, 3}, Floats: []float32{0, 2, 0, 1, 0, 3}}, onnx.Array{Dims: []int{2, 3}, Ints: []int64{0, 1, 1, 1, 0, 2}}, []float32{2, 1, 3}, []int64{1, 0, 1}},
		{onnx.Array{Dims: []int{1, 1}, Floats: []float32{5}}, onnx.Array{Dims: []int{2, 1}, Ints: []int64{0, 0}}, []float32{5}, []int64{1}},
		{onnx.Array{Dims: []int{3, 1}, Floats: []float32{0, 0, 0}}, onnx.Array{Dims: []int{2, 0}, Ints: []int64{}}, []float32{}, []int64{}},
	} {
		out, err := g.Run(context.Background(), c.in)
		if err != nil {
			t.Fatalf("%v: %v", c.in.Dims, err)
		}
		want := []onnx.Array{c.places, {Dims: []int{len(c.values)}, Floats: c.values}, {Dims: []int{len(c.values)}, Ints: c.large}}
		if !reflect.DeepEqual(out, want) {
			t.Errorf("%v: %v, expected %v", c.in.Dims, out, want)
		}
	}
	for _, bad := range []onnx.Array{{Dims: []int{2, 2}, Floats: []float32{1}}, {Dims: []int{0, 2}}, {Dims: []int{1, 1}, Floats: []float32{1}, Ints: []int64{1}}} {
		if _, err := g.Run(context.Background(), bad); err == nil || !strings.Contains(err.Error(), `input "x"`) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
