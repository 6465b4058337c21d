package onnx_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// graph is a model of an input x [N,3,4,4] and an output y.
func graph(opset int64, weights []*pb.TensorProto, nodes ...*pb.NodeProto) *onnx.Model {
	return onnx.New(&pb.ModelProto{IrVersion: 4, OpsetImport: []*pb.OperatorSetIdProto{{Version: opset}}, Graph: &pb.GraphProto{
		Name: "g", Node: nodes, Initializer: weights,
		Input:  []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(4), onnx.Sized(4))},
		Output: []*pb.ValueInfoProto{onnx.NewValue("y", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Named("H"), onnx.Named("W"))},
	}})
}

// kernel is a weight of 3x3x1x1 that begins with v.
func kernel(name string, v ...float64) *pb.TensorProto {
	return onnx.NewFloats(name, []int64{3, 3, 1, 1}, append(v, make([]float64, 9-len(v))...)...)
}

func node(op, out string, in ...string) *pb.NodeProto { return onnx.NewNode(op, out, in) }

// halfGraphs are graphs with what Float16 has to get right, and the nodes that
// come of them: operator, inputs and output.
func halfGraphs() map[string]struct {
	model *onnx.Model
	want  []string
} {
	w, big := kernel("w", 0.5, 1), kernel("w", 1e5)
	numbers := &pb.TensorProto{Name: "w", Dims: []int64{3, 3, 1, 1}, DataType: int32(pb.TensorProto_FLOAT), FloatData: make([]float32, 9)}
	open := &pb.NodeProto{OpType: "Constant", Output: []string{"top"}, Attribute: []*pb.AttributeProto{{Name: "value", Type: pb.AttributeProto_TENSOR, T: onnx.NewFloats("", nil, math.MaxFloat32)}}}
	branch := func(name, reads string) *pb.AttributeProto {
		return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_GRAPH, G: &pb.GraphProto{Name: name, Node: []*pb.NodeProto{node("Identity", name+"/y", reads)},
			Output: []*pb.ValueInfoProto{onnx.NewValue(name+"/y", pb.TensorProto_FLOAT)}}}
	}
	norm := func(name string) *pb.TensorProto { return onnx.NewFloats(name, []int64{3}, 1, 2, 3) }
	batch := []*pb.TensorProto{w, norm("s"), norm("b"), norm("m"), norm("v")}
	yes := &pb.TensorProto{Name: "yes", DataType: int32(pb.TensorProto_BOOL), Int32Data: []int32{1}}
	return map[string]struct {
		model *onnx.Model
		want  []string
	}{
		"normalised first": {
			graph(13, []*pb.TensorProto{w, onnx.NewFloats("mean", []int64{1, 3, 1, 1}, 1, 2, 3)}, node("Sub", "a", "x", "mean"), node("Conv", "b", "a", "w"), node("Relu", "y", "b")),
			[]string{"Sub x mean>a", "Cast a>a/half", "Conv a/half w>b", "Relu b>y/half", "Cast y/half>y"}},
		"a residual": {
			graph(9, []*pb.TensorProto{w}, node("Conv", "a", "x", "w"), node("Conv", "b", "a", "w"), node("Add", "y", "a", "b")),
			[]string{"Cast x>x/half", "Conv x/half w>a", "Conv a w>b", "Add a b>y/half", "Cast y/half>y"}},
		"mixed stays float32": {
			graph(13, []*pb.TensorProto{w}, node("Conv", "a", "x", "w"), node("Exp", "b", "a"), node("Add", "y", "a", "b")),
			[]string{"Cast x>x/half", "Conv x/half w>a", "Cast a>a/float", "Exp a/float>b", "Add a/float b>y"}},
		"a weight beyond float16": {
			graph(13, []*pb.TensorProto{big, kernel("u", 1)}, node("Conv", "a", "x", "w"), node("Conv", "y", "a", "u")),
			[]string{"Conv x w>a", "Cast a>a/half", "Conv a/half u>y/half", "Cast y/half>y"}},
		"a weight too small": {
			graph(13, []*pb.TensorProto{kernel("w", 1e-6)}, node("Conv", "y", "x", "w")),
			[]string{"Conv x w>y"}},
		"no bound": {
			graph(13, []*pb.TensorProto{w}, open, node("Conv", "a", "x", "w"), node("Clip", "y", "a", "", "top")),
			[]string{"Cast x>x/half", "Conv x/half w>a", "Clip a  top>y/half", "Cast y/half>y"}},
		"a weight used twice": {
			graph(13, []*pb.TensorProto{w}, node("Conv", "a", "x", "w"), node("Exp", "b", "w"), node("Mul", "y", "a", "b")),
			[]string{"Cast x>x/half", "Conv x/half w/half>a", "Exp w>b", "Cast a>a/float", "Mul a/float b>y"}},
		"numbers, not bytes": {
			graph(13, []*pb.TensorProto{numbers}, node("Conv", "y", "x", "w")),
			[]string{"Cast x>x/half", "Conv x/half w>y/half", "Cast y/half>y"}},
		"behind an Identity": {
			graph(13, []*pb.TensorProto{w}, node("Identity", "i", "w"), node("Conv", "y", "x", "i")),
			[]string{"Cast x>x/half", "Conv x/half i>y/half", "Cast y/half>y"}},
		"sizes stay": {
			graph(13, []*pb.TensorProto{w, onnx.NewFloats("scales", []int64{4}, 1, 1, 2, 2)}, node("Conv", "a", "x", "w"), node("Resize", "y", "a", "", "scales")),
			[]string{"Cast x>x/half", "Conv x/half w>a", "Resize a  scales>y/half", "Cast y/half>y"}},
		"a subgraph": {
			graph(13, []*pb.TensorProto{w, yes}, node("Conv", "a", "x", "w"), node("Conv", "b", "a", "w"),
				onnx.NewNode("If", "c", []string{"yes"}, branch("then_branch", "a"), branch("else_branch", "b")), node("Conv", "y", "c", "w")),
			[]string{"Cast x>x/half", "Conv x/half w>a/half", "Cast a/half>a", "Conv a/half w>b/half", "Cast b/half>b", "If yes>c", "Cast c>c/half", "Conv c/half w>y/half", "Cast y/half>y"}},
		"a batch norm": {
			graph(13, batch, node("Conv", "a", "x", "w"), node("BatchNormalization", "y", "a", "s", "b", "m", "v")),
			[]string{"Cast x>x/half", "Conv x/half y/weight y/bias>y/half", "Cast y/half>y"}},
		"a batch norm of two readers": {
			graph(13, batch, node("Conv", "a", "x", "w"), node("BatchNormalization", "b1", "a", "s", "b", "m", "v"), node("Conv", "c", "a", "w"), node("Mul", "y", "b1", "c")),
			[]string{"Cast x>x/half", "Conv x/half w>a", "Cast a>a/float", "BatchNormalization a/float s b m v>b1", "Conv a w>c", "Cast c>c/float", "Mul b1 c/float>y"}},
		"nothing to do": {graph(13, nil, node("Relu", "y", "x")), []string{"Relu x>y"}},
	}
}

func TestFloat16(t *testing.T) {
	for name, c := range halfGraphs() {
		t.Run(name, func(t *testing.T) {
			before := fmt.Sprint(c.model.Proto)
			h, err := c.model.Float16()
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(c.model.Proto) != before {
				t.Error("the model itself was changed")
			}
			if bad := h.Validate(); len(bad) > 0 {
				t.Error(bad)
			}
			var got []string
			for _, n := range h.Proto.Graph.Node {
				if n.OpType != "Constant" {
					got = append(got, n.OpType+" "+strings.Join(n.Input, " ")+">"+n.Output[0])
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			for _, v := range append(h.Inputs(), h.Outputs()...) {
				if v.DType != pb.TensorProto_FLOAT {
					t.Errorf("%v, want float32", v)
				}
			}
		})
	}
}

// TestFloat16Values wants a stage to be found where the Spec says, as what it
// is, and half the bytes.
func TestFloat16Values(t *testing.T) {
	m := backbone(t)
	h, err := m.Float16()
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := h.Spec()
	if err != nil {
		t.Fatal(err)
	}
	cut, err := h.Cut(spec.Stages[1].Value)
	if err != nil {
		t.Fatal(err)
	}
	if out := cut.Outputs()[0]; out.DType != pb.TensorProto_FLOAT16 {
		t.Errorf("the stage is %v", out)
	}
	if a, b := m.Inspect(), h.Inspect(); b.Bytes > a.Bytes*51/100 || b.BatchNorms != 0 || len(b.Problems) > 0 {
		t.Errorf("%d bytes of %d, %d batch norms, %v", b.Bytes, a.Bytes, b.BatchNorms, b.Problems)
	}
}

// TestFloat16Checker asks Python's onnx, with inference of types and shapes.
func TestFloat16Checker(t *testing.T) {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	if exec.Command(python, "-c", "import onnx").Run() != nil {
		t.Skip("PYTHON names no python3 with onnx")
	}
	dir := t.TempDir()
	models := map[string]*onnx.Model{"backbone": backbone(t)}
	for name, c := range halfGraphs() {
		models[strings.ReplaceAll(name, " ", "_")] = c.model
	}
	for name, m := range models {
		h, err := m.Float16()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Save(filepath.Join(dir, name+".onnx")); err != nil {
			t.Fatal(err)
		}
	}
	const check = "import sys,glob,onnx\nfor f in glob.glob(sys.argv[1]+'/*.onnx'):\n print(f); onnx.checker.check_model(onnx.load(f),full_check=True)"
	if out, err := exec.Command(python, "-c", check, dir).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
