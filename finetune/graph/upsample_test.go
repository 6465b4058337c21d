package graph_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestResizeRefused: interpolations that do not repeat pixels are errors that say what
// they are.
func TestResizeRefused(t *testing.T) {
	repeat := []*pb.AttributeProto{onnx.String("mode", "nearest"), onnx.String("coordinate_transformation_mode", "asymmetric"), onnx.String("nearest_mode", "floor")}
	for want, c := range map[string]struct {
		scales     []float64
		attributes []*pb.AttributeProto
	}{
		`mode is "linear", expected nearest`:                                   {[]float64{1, 1, 2, 2}, []*pb.AttributeProto{onnx.String("mode", "linear")}},
		`coordinates are "asymmetric" with rounding "ceil"`:                    {[]float64{1, 1, 2, 2}, append(repeat[:2:2], onnx.String("nearest_mode", "ceil"))},
		`coordinates are "align_corners" with rounding "round_prefer_floor"`:   {[]float64{1, 1, 2, 2}, []*pb.AttributeProto{onnx.String("coordinate_transformation_mode", "align_corners")}},
		`the size of dimension 3, 4, is multiplied by 1.5, expected a whole`:   {[]float64{1, 1, 2, 1.5}, repeat},
		`the size of dimension 2, 3, is multiplied by 0.5, expected a whole`:   {[]float64{1, 1, .5, 1}, repeat},
		`dimension 1 of 4 is resized, expected the last two`:                   {[]float64{1, 2, 1, 1}, repeat},
		`3 scales for 4 dimensions`:                                            {[]float64{1, 2, 2}, repeat},
		`factors [2 40000] of an input of shape [2 3 3 4], expected whole num`: {[]float64{1, 1, 2, 40000}, repeat},
	} {
		m := graphtest.NewModel(rand.New(rand.NewPCG(6, 1)), 3, 4)
		x := m.Node("Resize", []string{"images", "", m.Floats("scales", c.scales, len(c.scales))}, c.attributes...)
		if _, err := graph.Read(m.Case("resize", x, 2, false, nil).Model); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestConvTransposeParameters: the weight and the bias of a transposed convolution are
// parameters in the model's own shapes, also where a Constant node holds them.
func TestConvTransposeParameters(t *testing.T) {
	for _, constant := range []bool{false, true} {
		m := graphtest.NewModel(rand.New(rand.NewPCG(6, 1)), 3, 4)
		x := m.Node("ConvTranspose", []string{"images", m.Weights("w", -1, 1, 3, 5, 2, 2), m.Weights("b", -1, 1, 5)}, graphtest.Ints("strides", 2, 2))
		model := m.Case("transposed", x, 2, false, nil).Model
		if constant {
			g := model.Proto.Graph
			for _, w := range g.Initializer {
				node := onnx.NewNode("Constant", w.Name, nil, &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: w})
				g.Node = append([]*pb.NodeProto{node}, g.Node...)
			}
			g.Initializer = nil
		}
		n, err := graph.Read(model)
		if err != nil {
			t.Fatal(err)
		}
		want := []graph.Param{{Name: "w", Shape: graph.Shape{3, 5, 2, 2}, Kind: graph.Weight}, {Name: "b", Shape: graph.Shape{5}, Kind: graph.Bias}}
		if got := n.Params(); !slices.EqualFunc(got, want, func(a, b graph.Param) bool { return a.Name == b.Name && a.Shape.Equal(b.Shape) && a.Kind == b.Kind }) {
			t.Errorf("in Constant nodes %v: parameters %+v, want %+v", constant, got, want)
		}
		out, err := n.Export(func(name string, dst []float32) error {
			for i := range dst {
				dst[i] = 7
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"w", "b"} {
			if v, err := out.Floats(name); err != nil || v[0] != 7 {
				t.Errorf("in Constant nodes %v: exported %s is %v, %v", constant, name, v, err)
			}
		}
	}
}

// TestConvTransposeRefused: geometries that no convolution has are errors, not panics.
func TestConvTransposeRefused(t *testing.T) {
	for want, a := range map[string][]*pb.AttributeProto{
		`auto_pad "SAME_UPPER" or output_shape, expected pads`: {onnx.String("auto_pad", "SAME_UPPER")},
		`auto_pad "NOTSET" or output_shape`:                    {graphtest.Ints("output_shape", 6, 8)},
		`kernel_shape is [3 3]`:                                {graphtest.Ints("kernel_shape", 3, 3)},
		`output_padding [2 0]`:                                 {graphtest.Ints("strides", 2, 2), graphtest.Ints("output_padding", 2, 0)},
		`an output of shape [2 5 -2 5]`:                        {graphtest.Ints("pads", 3, 0, 3, 0)},
		`and 0 groups`:                                         {graphtest.Int("group", 0)},
	} {
		m := graphtest.NewModel(rand.New(rand.NewPCG(6, 1)), 3, 4)
		x := m.Node("ConvTranspose", []string{"images", m.Weights("w", -1, 1, 3, 5, 2, 2)}, a...)
		if _, err := graph.Read(m.Case("transposed", x, 2, false, nil).Model); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
