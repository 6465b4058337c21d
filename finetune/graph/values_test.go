package graph

import (
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// readOne reads nodes of an opset that compute y from x [2,n], and evaluates them with
// masks of ones and threes.
func readOne(t *testing.T, opset int64, c Config, net *Network, x []float64, nodes ...*pb.NodeProto) []float64 {
	t.Helper()
	b := newBuilder(0)
	net.model = onnx.New(&pb.ModelProto{OpsetImport: []*pb.OperatorSetIdProto{{Version: opset}}, Graph: &pb.GraphProto{}})
	c.Batch = 2
	r := newReader(net, b, c)
	r.values["x"] = b.Input("x", Shape{2, len(x) / 2})
	if err := readNodes(r, nodes); err != nil {
		t.Fatal(err)
	}
	p := b.program([]Named{{"out", r.values["y"]}}, nil)
	return run(p, map[string][]float64{"x": x, Masks + "d": slices.Repeat([]float64{0, 3}, len(x)/2)})
}

func TestValues(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	train := Config{Adapt: true}
	drop := onnx.NewNode("Dropout", "y", []string{"x"}, onnx.Float("ratio", .25))
	drop.Name = "d"
	mode := func(s string) *pb.AttributeProto {
		return &pb.AttributeProto{Name: "mode", Type: pb.AttributeProto_STRING, S: []byte(s)}
	}
	for _, c := range []struct {
		name  string
		opset int64
		c     Config
		node  *pb.NodeProto
		want  []float64
	}{
		{"reflect", 2, train, onnx.NewNode("Pad", "y", []string{"x"}, onnx.Ints("pads", 0, 2, 0, 1), mode("reflect")), []float64{3, 2, 1, 2, 3, 2, 6, 5, 4, 5, 6, 5}},
		{"edge", 2, train, onnx.NewNode("Pad", "y", []string{"x"}, onnx.Ints("pads", 0, 2, 0, 1), mode("edge")), []float64{1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 6, 6}},
		{"constant", 2, train, onnx.NewNode("Pad", "y", []string{"x"}, onnx.Ints("pads", 0, -1, 0, 1), onnx.Float("value", 9)), []float64{2, 3, 9, 5, 6, 9}},
		{"clip", 6, train, onnx.NewNode("Clip", "y", []string{"x"}, onnx.Float("min", 2), onnx.Float("max", 4)), []float64{2, 2, 3, 4, 4, 4}},
		{"trained", 10, train, drop, []float64{0, 6, 0, 12, 0, 18}},
		{"not trained", 10, Config{}, drop, x},
		{"averaged", 10, Config{Adapt: true, Averaged: true}, drop, x},
		{"reshape", 1, train, onnx.NewNode("Reshape", "y", []string{"x"}, onnx.Ints("shape", 1, 0, -1)), x},
	} {
		net := &Network{collect: true}
		if got := readOne(t, c.opset, c.c, net, x, c.node); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, expected %v", c.name, got, c.want)
		}
		if d := net.Dropouts(); c.name == "trained" && (len(d) != 1 || d[0].Name != "dropout/d" || d[0].Ratio != .25 || !d[0].Shape.Equal(Shape{3})) {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	r := &reader{Builder: newBuilder(0)}
	if s := r.reshapedTo(Shape{4, 3, 2}, []int{2, 0, -1, 1}, false); !s.Equal(Shape{2, 3, 4, 1}) {
		t.Errorf("a reshape to %v", s)
	}
}
