package onnx_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestRanks takes away what a file says of its values and wants the graph to
// tell as many dimensions.
func TestRanks(t *testing.T) {
	for _, name := range arch.Names {
		m, err := arch.Synthetic(name, 10)
		if err != nil {
			t.Fatal(err)
		}
		g := m.Proto.Graph
		want := map[string]int{}
		for _, v := range append(slices.Clone(g.Output), g.ValueInfo...) {
			want[v.Name] = m.Rank(v.Name)
		}
		var all []string
		for _, n := range g.Node {
			all = append(all, n.Output...)
		}
		g.Output, g.ValueInfo = nil, nil
		c, err := m.Cut(all...)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range c.Outputs() {
			if rank, told := want[o.Name]; !o.Known || told && len(o.Shape) != rank {
				t.Errorf("%s: %v, want rank %d", name, o, rank)
			}
			if o.Name == "features" && (o.Shape[0].Name != "N" || o.Shape[1].Size < 10) {
				t.Errorf("%s: %v", name, o)
			}
		}
	}
}

func TestForImages(t *testing.T) {
	m := backbone(t)
	s, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.ForImages(s, onnx.ImageConfig{Outputs: []string{"/l3/Relu_1_output_0", "features"}, Pool: true})
	if err != nil {
		t.Fatal(err)
	}
	if bad := g.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	in := g.Inputs()
	if len(in) != 1 || in[0].DType != pb.TensorProto_UINT8 || !slices.Equal(in[0].ShapeStrings(), []string{"N", "32", "32", "3"}) {
		t.Errorf("input %v", in)
	}
	s.InputSize = [2]int{64, 64}
	if _, err := m.ForImages(s, onnx.ImageConfig{}); err == nil || !strings.Contains(err.Error(), "32x32 only") {
		t.Errorf("another size: %v", err)
	}
}

// TestPoolAxes wants the average over space of values of either layout in one
// model, whose input is [N,H,W,3].
func TestPoolAxes(t *testing.T) {
	transpose := func(in, out string, perm ...int64) *pb.NodeProto {
		return onnx.NewNode("Transpose", out, []string{in}, onnx.Ints("perm", perm...))
	}
	two := onnx.NewFloats("two", nil, 2)
	sides := []*pb.TensorShapeProto_Dimension{onnx.Named("N"), onnx.Sized(4), onnx.Sized(6), onnx.Sized(3)}
	kernel := onnx.NewFloats("kernel", []int64{1, 3, 1, 1}, 1, 1, 1)
	m := onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: &pb.GraphProto{
		Name: "g", Input: []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_FLOAT, sides...)},
		Output: []*pb.ValueInfoProto{onnx.NewValue("last", pb.TensorProto_FLOAT, sides...)}, Initializer: []*pb.TensorProto{two, kernel},
		Node: []*pb.NodeProto{
			onnx.NewNode("Mul", "begin", []string{"two", "x"}), transpose("begin", "first", 0, 3, 1, 2),
			onnx.NewNode("Conv", "inner", []string{"first", "kernel"}), onnx.NewNode("Relu", "relu", []string{"inner"}),
			transpose("relu", "back", 0, 2, 3, 1), onnx.NewNode("Relu", "last", []string{"back"}),
		},
	}})
	s, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string][]int64{"begin": {1, 2}, "first": {2, 3}, "inner": {2, 3}, "relu": {2, 3}, "back": {1, 2}, "last": {1, 2}} {
		g, err := m.WithRank(value, 4).ForImages(s, onnx.ImageConfig{Outputs: []string{value}, Pool: true})
		if err != nil {
			t.Fatal(err)
		}
		nodes := g.Proto.Graph.Node
		if mean := nodes[len(nodes)-1]; mean.OpType != "ReduceMean" || !slices.Equal(mean.Attribute[1].Ints, want) {
			t.Errorf("%s: %v, want axes %v", value, mean, want)
		}
	}
}
