package graph_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// array is a tensor of testdata/ops.json.
type array struct {
	Shape graph.Shape
	Data  []float64
}

// goldens reads what testdata/ops.py computed with PyTorch.
func goldens(t *testing.T) (out struct{ Convs, Norms, Clips, Clamped []json.RawMessage }) {
	t.Helper()
	text, err := os.ReadFile("testdata/ops.json")
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil || len(out.Convs) < 6 || len(out.Norms) < 6 || len(out.Clips) < 8 || len(out.Clamped) < 4 {
		t.Fatal("testdata/ops.json: ", err)
	}
	return out
}

func decode(t *testing.T, raw json.RawMessage, attributes any) map[string]array {
	t.Helper()
	if err := json.Unmarshal(raw, attributes); err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	out := map[string]array{}
	for name, f := range fields {
		var a array
		if f[0] == '{' {
			if err := json.Unmarshal(f, &a); err != nil {
				t.Fatal(err)
			}
			out[name] = a
		}
	}
	return out
}

// run runs an op in float64, and checks that its float32 kernel is close.
func run(t *testing.T, op graph.Op, in ...array) array {
	t.Helper()
	var shapes []graph.Shape
	wide, narrow := graph.Call[float64]{}, graph.Call[float32]{}
	for _, a := range in {
		shapes = append(shapes, a.Shape)
		wide.In, narrow.In = append(wide.In, a.Data), append(narrow.In, single(a.Data))
	}
	s, err := op.Infer(shapes)
	if err != nil {
		t.Fatalf("%T: %v", op, err)
	}
	wide.Shapes, wide.Shape, wide.Dst = shapes, s, slices.Repeat([]float64{7}, s.Size())
	narrow.Shapes, narrow.Shape, narrow.Dst = shapes, s, slices.Repeat([]float32{7}, s.Size())
	op.Run64(wide)
	op.Run32(narrow)
	low := make([]float64, len(narrow.Dst))
	for i, v := range narrow.Dst {
		low[i] = float64(v)
	}
	if d := graphtest.Distance(low, wide.Dst); d > 2e-6 {
		t.Errorf("%T: float32 is %.1e from float64", op, d)
	}
	return array{s, wide.Dst}
}

func single(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

func near(t *testing.T, what string, got, want array) {
	t.Helper()
	if !got.Shape.Equal(want.Shape) {
		t.Errorf("%s has shape %v, PyTorch's %v", what, got.Shape, want.Shape)
	} else if d := graphtest.Distance(got.Data, want.Data); d > 1e-12 {
		t.Errorf("%s is %.1e from PyTorch's", what, d)
	}
}

func TestConvAsPyTorch(t *testing.T) {
	for i, raw := range goldens(t).Convs {
		var o graph.Conv
		g := decode(t, raw, &o)
		in := []array{g["x"], g["w"]}
		if b, ok := g["b"]; ok {
			in = append(in, b)
			near(t, fmt.Sprint("db of ", i), run(t, graph.ChannelSum{}, g["dy"]), g["db"])
		}
		near(t, fmt.Sprint("y of ", i), run(t, o, in...), g["y"])
		near(t, fmt.Sprint("dx of ", i), run(t, graph.ConvGradientInput{Conv: o, Input: g["x"].Shape}, g["w"], g["dy"]), g["dx"])
		near(t, fmt.Sprint("dw of ", i), run(t, graph.ConvGradientWeight{Conv: o, Weight: g["w"].Shape}, g["x"], g["dy"]), g["dw"])
	}
}

// TestConvOnAnyCores checks that sums do not depend on the number of goroutines.
func TestConvOnAnyCores(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 3))
	for _, group := range []int{1, 4, 32} {
		o := graph.Conv{Strides: [2]int{1, 2}, Dilations: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: group}
		x, w := graph.Shape{6, 32, 17, 18}, graph.Shape{64, 32 / group, 3, 3}
		y, err := o.Infer([]graph.Shape{x, w})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			op graph.Op
			in []graph.Shape
		}{
			{o, []graph.Shape{x, w, {64}}},
			{graph.ConvGradientInput{Conv: o, Input: x}, []graph.Shape{w, y}},
			{graph.ConvGradientWeight{Conv: o, Weight: w}, []graph.Shape{x, y}},
			{graph.ChannelSum{}, []graph.Shape{y}},
			{graph.BatchMean{}, []graph.Shape{y}},
		} {
			shape, err := c.op.Infer(c.in)
			if err != nil {
				t.Fatal(err)
			}
			call := graph.Call[float32]{Shape: shape, Shapes: c.in}
			for _, s := range c.in {
				call.In = append(call.In, single(graphtest.Uniform(rng, s.Size(), -1, 1)))
			}
			var results [][]float32
			for _, cores := range []int{1, 2, 5} {
				old := runtime.GOMAXPROCS(cores)
				call.Dst = make([]float32, shape.Size())
				c.op.Run32(call)
				runtime.GOMAXPROCS(old)
				results = append(results, call.Dst)
			}
			if !slices.Equal(results[0], results[1]) || !slices.Equal(results[0], results[2]) {
				t.Errorf("%T in %d groups depends on the number of cores", c.op, group)
			}
		}
	}
}

// TestConvErrors checks that errors name what does not fit before anything runs.
func TestConvErrors(t *testing.T) {
	ints := graphtest.Ints
	auto := func(v string) *pb.AttributeProto {
		return &pb.AttributeProto{Name: "auto_pad", Type: pb.AttributeProto_STRING, S: []byte(v)}
	}
	for _, c := range []struct {
		weight     []int
		bias       int
		attributes []*pb.AttributeProto
		want       string
	}{
		{[]int{2, 3, 3}, 0, nil, "a 1-D convolution, expected a 2-D one"},
		{[]int{2, 3, 3, 3, 3}, 0, nil, "a 3-D convolution, expected a 2-D one"},
		{[]int{2, 3, 3, 3}, 0, []*pb.AttributeProto{ints("kernel_shape", 3, 2)}, "kernel_shape is [3 2], but the weight has shape [2 3 3 3]"},
		{[]int{2, 3, 3, 3}, 0, []*pb.AttributeProto{ints("strides", 1)}, "strides is [1], expected 2 numbers"},
		{[]int{2, 3, 3, 3}, 0, []*pb.AttributeProto{ints("strides", 1, 0)}, "strides [1 0] and dilations [1 1], expected 1 or more"},
		{[]int{2, 3, 3, 3}, 0, []*pb.AttributeProto{ints("pads", 1, 1)}, "pads are [1 1], expected 4"},
		{[]int{2, 3, 3, 3}, 0, []*pb.AttributeProto{ints("pads", 1, 1, 1, -1)}, "expected none below 0"},
		{[]int{2, 3, 3, 3}, 0, []*pb.AttributeProto{auto("SAME")}, `auto_pad is "SAME", expected NOTSET`},
		{[]int{2, 3, 3, 3}, 3, nil, "a bias of shape [3], expected [2]"},
		{[]int{2, 2, 3, 3}, 0, nil, "in 1 groups, expected [O,C/group,kH,kW]"},
		{[]int{2, 1, 3, 3}, 0, []*pb.AttributeProto{graphtest.Int("group", 3)}, "in 3 groups"},
		{[]int{2, 3, 7, 3}, 0, nil, "a kernel that spans 7x3 over x of shape [2 3 5 6]"},
	} {
		rng := rand.New(rand.NewPCG(6, 4))
		m := graphtest.NewModel(rng, 5, 6)
		in := []string{"images", m.Weights("weight", -1, 1, c.weight...)}
		if c.bias > 0 {
			in = append(in, m.Weights("bias", -1, 1, c.bias))
		}
		_, err := graph.Read(m.Case("errors", m.Node("Conv", in, c.attributes...), 2, false, nil).Model)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `graph: node "Conv0" (Conv, opset 17)`) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestAutoPad compares pads with ONNX's formula.
func TestAutoPad(t *testing.T) {
	for _, c := range []struct {
		auto string
		want [4]int
	}{
		{"SAME_UPPER", [4]int{0, 1, 1, 2}}, // an output of 3 reads 6 of 5; an output of 6 reads 9 of 6
		{"SAME_LOWER", [4]int{1, 2, 0, 1}},
		{"VALID", [4]int{}},
		{"NOTSET", [4]int{1, 0, 2, 3}},
	} {
		m := graphtest.NewModel(rand.New(rand.NewPCG(6, 10)), 5, 6)
		y := m.Node("Conv", []string{"images", m.Weights("weight", -1, 1, 2, 3, 2, 4)}, graphtest.Ints("strides", 2, 1),
			graphtest.Ints("pads", 1, 0, 2, 3), &pb.AttributeProto{Name: "auto_pad", Type: pb.AttributeProto_STRING, S: []byte(c.auto)})
		_, p, err := m.Case("auto", y, 2, false, nil).Program()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range p.Nodes {
			if o, ok := n.Op.(graph.Conv); ok && o.Pads != c.want {
				t.Errorf("%s: pads %v, want %v", c.auto, o.Pads, c.want)
			}
		}
	}
}
