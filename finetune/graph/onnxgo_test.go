package graph_test

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
)

func bytesOf(t *testing.T, m *onnx.Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// same wants two models to give one program, of the same constants and weights.
func same(t *testing.T, a, b *onnx.Model) {
	t.Helper()
	var programs [2]*graph.Program
	var nets [2]*graph.Network
	for i, m := range []*onnx.Model{a, b} {
		n, err := graph.Read(m)
		if err != nil {
			t.Fatal(err)
		}
		p, err := n.Program(graph.Config{Batch: 2, Adapt: true, Train: all, Optimizer: graph.SGD{}})
		if err != nil {
			t.Fatal(err)
		}
		nets[i], programs[i] = n, p
	}
	if programs[0].String() != programs[1].String() {
		t.Fatal("the programs differ")
	}
	for i, n := range programs[0].Nodes {
		if !slices.Equal(n.Data, programs[1].Nodes[i].Data) {
			t.Errorf("constant %q differs", n.Name)
		}
	}
	for _, p := range nets[0].Params() {
		v, err := nets[0].Values(p.Name)
		w, err2 := nets[1].Values(p.Name)
		if err != nil || err2 != nil || len(v) != p.Shape.Size() || !slices.EqualFunc(v, w, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
			t.Errorf("parameter %q differs: %v, %v", p.Name, err, err2)
		}
	}
}

// TestDecode reads ResNets with onnx-go's decoder; with RTX_LARGE all of them.
func TestDecode(t *testing.T) {
	usual := []string{"resnet18", "resnet34", "resnet50", "cifar_resnet20", "cifar_resnet110", "cifar_resnet18", "resnet2b", "resnet8"}
	for _, name := range arch.Names {
		if !strings.Contains(name, "resne") || os.Getenv("RTX_LARGE") == "" && !slices.Contains(usual, name) || testing.Short() && strings.HasSuffix(name, "0") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, err := arch.Synthetic(name, 7)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := graph.Decode(bytesOf(t, m))
			if err != nil {
				t.Fatal(err)
			}
			same(t, m, decoded)
		})
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

// TestDecodeKeeps has what onnx-go alone would lose.
func TestDecodeKeeps(t *testing.T) {
	split := onnx.NewNode("Split", "a", []string{"images"}, onnx.Int("axis", 2))
	split.Output = []string{"a", "b"}
	constant := onnx.NewNode("Constant", "six", nil, &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: onnx.NewFloats("", nil, 6)})
	for name, m := range map[string]*onnx.Model{
		"a value that is read twice":   small([]*pb.NodeProto{onnx.NewNode("Add", "y", []string{"images", "images"})}),
		"the order of inputs":          small([]*pb.NodeProto{onnx.NewNode("Relu", "r", []string{"images"}), onnx.NewNode("Sub", "y", []string{"r", "images"})}),
		"inputs that are left out":     small([]*pb.NodeProto{constant, onnx.NewNode("Clip", "y", []string{"images", "", "six"})}),
		"several outputs":              small([]*pb.NodeProto{split, onnx.NewNode("Concat", "y", []string{"b", "a"}, onnx.Int("axis", 2))}),
		"integers":                     small([]*pb.NodeProto{onnx.NewNode("Reshape", "y", []string{"images", "shape"})}, onnx.NewInts("shape", 0, -1)),
		"texts":                        small([]*pb.NodeProto{onnx.NewNode("Pad", "p", []string{"images", "pads"}, &pb.AttributeProto{Name: "mode", Type: pb.AttributeProto_STRING, S: []byte("edge")}), onnx.NewNode("AveragePool", "y", []string{"p"}, onnx.Ints("kernel_shape", 2, 2))}, onnx.NewInts("pads", 0, 0, 1, 0, 0, 0, 0, 1)),
		"a nameless node and its like": small([]*pb.NodeProto{constant, onnx.NewNode("Mul", "y", []string{"images", "six"})}),
	} {
		t.Run(name, func(t *testing.T) {
			decoded, err := graph.Decode(bytesOf(t, m))
			if err != nil {
				t.Fatal(err)
			}
			if in := decoded.Inputs()[0]; len(in.Shape) != 4 || in.Shape[0].Name != "N" {
				t.Errorf("the input is %v, expected a dynamic batch", in)
			}
			if decoded.Opset() != onnx.Opset {
				t.Errorf("opset %d, expected %d", decoded.Opset(), onnx.Opset)
			}
			for i, n := range decoded.Proto.Graph.Node { // also without the input that it makes up
				if want := m.Proto.Graph.Node[i].Input; !slices.Equal(n.Input, want) {
					t.Errorf("inputs %q of %q, expected %q", n.Input, n.Output, want)
				}
			}
			same(t, m, decoded)
		})
	}
}

// TestDecodeRefuses has what onnx-go decodes wrongly, or not at all.
func TestDecodeRefuses(t *testing.T) {
	relu := onnx.NewNode("Relu", "y", []string{"images"})
	other := onnx.NewNode("Relu", "y", []string{"images"})
	other.Domain = "com.example"
	branch := onnx.NewNode("If", "y", []string{"c"}, &pb.AttributeProto{Name: "then_branch", Type: pb.AttributeProto_GRAPH, G: &pb.GraphProto{Name: "g"}})
	for want, m := range map[string]*onnx.Model{
		"BOOL":        small([]*pb.NodeProto{relu}, &pb.TensorProto{Name: "c", DataType: int32(pb.TensorProto_BOOL), Dims: []int64{16}, RawData: make([]byte, 16)}),
		"FLOAT16":     small([]*pb.NodeProto{relu}, &pb.TensorProto{Name: "c", DataType: int32(pb.TensorProto_FLOAT16), Dims: []int64{2}, RawData: make([]byte, 4)}),
		"com.example": small([]*pb.NodeProto{other}),
		"GRAPH":       small([]*pb.NodeProto{branch}),
		"shape":       small([]*pb.NodeProto{relu}, &pb.TensorProto{Name: "c", DataType: int32(pb.TensorProto_FLOAT), Dims: []int64{3}, RawData: make([]byte, 8)}),
	} {
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := graph.Decode(b.Bytes()); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
			t.Errorf("%s: the error is %v", want, err)
		}
	}
	if _, err := graph.Decode([]byte("not a model")); err == nil {
		t.Error("a text is decoded")
	}
}

// FuzzDecode wants an error, or a model, of any bytes.
func FuzzDecode(f *testing.F) {
	for _, m := range []*onnx.Model{
		small([]*pb.NodeProto{onnx.NewNode("Relu", "y", []string{"images"})}),
		small([]*pb.NodeProto{onnx.NewNode("Reshape", "y", []string{"images", "shape"})}, onnx.NewInts("shape", 0, -1)),
	} {
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := graph.Decode(data)
		if err == nil {
			graph.Read(m)
		}
	})
}
