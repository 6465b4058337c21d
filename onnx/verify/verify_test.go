package verify_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/verify"
)

func Example() {
	m, err := onnx.Load("../../assets/backbones/resnet8_std.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "verify-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "copy.onnx")
	if err := m.Save(file); err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	r, err := verify.File(ctx, file, m)
	fmt.Println(r.Nodes, "nodes,", r.Attributes, "attributes,", r.Weights, "weights of", r.WeightBytes, "bytes:", err)

	other, err := onnx.Load("../../assets/backbones/resnet8_l2_eps0.25.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = verify.File(ctx, file, other)
	var different *verify.DifferenceError
	if errors.As(err, &different) {
		fmt.Println(len(different.Differences), "differences, the first in", different.Differences[0].Name)
	}
	// Output:
	// 34 nodes, 68 attributes, 47 weights of 700576 bytes: <nil>
	// 45 differences, the first in m.conv.weight
}

// backbone is a small model with weights, from its file.
func backbone(t testing.TB) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(filepath.Join("..", "..", "assets", "backbones", "resnet8_std.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// written is the model in a file.
func written(t testing.TB, m *onnx.Model) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// agree wants a model and its file to be the same in all that was compared, and
// returns what was not.
func agree(t testing.TB, file string, m *onnx.Model) []verify.Undecoded {
	t.Helper()
	r, err := verify.File(t.Context(), file, m)
	if err != nil {
		t.Fatal(err)
	}
	g := m.Proto.Graph
	attributes, weights := 0, 0
	for _, n := range g.Node {
		attributes += len(n.Attribute)
	}
	var rest []verify.Undecoded
	nodes := len(g.Node)
	for _, u := range r.Undecoded {
		switch {
		case u.Part == verify.Weight:
			weights++
		case u.Part == verify.Attribute:
			attributes--
		case u.Part == verify.Node && !strings.Contains(u.Why, "operator"):
			nodes--
			for _, n := range g.Node {
				if len(n.Output) > 0 && n.Output[0] == u.Name {
					attributes -= len(n.Attribute)
				}
			}
		}
		if u.Part != verify.Metadata && !strings.HasPrefix(u.Why, "open dimension") {
			rest = append(rest, u)
		}
	}
	got := [5]int{r.Nodes, r.Attributes, r.Weights, r.Inputs, r.Outputs}
	if want := [5]int{nodes, attributes, len(g.Initializer) - weights, len(g.Input), len(g.Output)}; got != want {
		t.Errorf("%d nodes, attributes, weights, inputs and outputs were compared, expected %d", got, want)
	}
	return rest
}

// TestArchitectures compares every architecture's model in memory with its file;
// without RTX_LARGE, some of them.
func TestArchitectures(t *testing.T) {
	usual := []string{"resnet18", "shufflenet_v2_x1_0", "mobilenet_v2", "cifar_resnet20", "cifar_resnet110", "resnet2b", "resnet8"}
	for _, name := range arch.Names {
		if os.Getenv("RTX_LARGE") == "" && !slices.Contains(usual, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, err := arch.Synthetic(name, 7)
			if err != nil {
				t.Fatal(err)
			}
			if rest := agree(t, written(t, m), m); rest != nil {
				t.Errorf("not decoded: %v", rest)
			}
		})
	}
}

// small is a model of a linear layer behind other nodes.
func small(nodes []*pb.NodeProto, initializers ...*pb.TensorProto) *onnx.Model {
	return onnx.New(&pb.ModelProto{
		IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}},
		Graph: &pb.GraphProto{
			Name: "small", Initializer: append(initializers, onnx.NewFloats("w", []int64{12, 2}, slices.Repeat([]float64{.5, -1, 2}, 8)...)),
			Node:   append(nodes, onnx.NewNode("Flatten", "flat", []string{"y"}), onnx.NewNode("MatMul", "logits", []string{"flat", "w"})),
			Input:  []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(2), onnx.Sized(2))},
			Output: []*pb.ValueInfoProto{onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(2))},
		},
	})
}

func attribute(name string, kind pb.AttributeProto_AttributeType, set func(*pb.AttributeProto)) *pb.AttributeProto {
	a := &pb.AttributeProto{Name: name, Type: kind}
	set(a)
	return a
}

// TestGraphs has what a decoder may lose of a graph.
func TestGraphs(t *testing.T) {
	split := onnx.NewNode("Split", "a", []string{"images"}, onnx.Int("axis", 2))
	split.Output = []string{"a", "b"}
	second := onnx.NewNode("Split", "", []string{"images"}, onnx.Int("axis", 2))
	second.Output = []string{"", "", "y"}
	six := &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: onnx.NewFloats("", nil, 6)}
	constant := onnx.NewNode("Constant", "six", nil, six)
	named := onnx.NewNode("Constant", "six", nil, six)
	named.Name = "made"
	blank := small([]*pb.NodeProto{onnx.NewNode("Relu", "y", []string{"images"})})
	blank.Proto.Graph.Input = append(blank.Proto.Graph.Input, &pb.ValueInfoProto{})
	for name, m := range map[string]*onnx.Model{
		"an input without a name or type": blank,
		"a value that is read twice":      small([]*pb.NodeProto{onnx.NewNode("Add", "y", []string{"images", "images"})}),
		"the order of inputs":             small([]*pb.NodeProto{onnx.NewNode("Relu", "r", []string{"images"}), onnx.NewNode("Sub", "y", []string{"r", "images"})}),
		"inputs that are left out":        small([]*pb.NodeProto{constant, onnx.NewNode("Clip", "y", []string{"images", "", "six"})}),
		"several outputs":                 small([]*pb.NodeProto{split, onnx.NewNode("Concat", "y", []string{"b", "a"}, onnx.Int("axis", 2))}),
		"outputs that are left out":       small([]*pb.NodeProto{second}),
		"integers":                        small([]*pb.NodeProto{onnx.NewNode("Reshape", "y", []string{"images", "shape"})}, onnx.NewInts("shape", 0, -1)),
		"texts":                           small([]*pb.NodeProto{onnx.NewNode("Pad", "y", []string{"images", "pads"}, &pb.AttributeProto{Name: "mode", Type: pb.AttributeProto_STRING, S: []byte("edge")})}, onnx.NewInts("pads", 0, 0, 1, 0, 0, 0, 0, 1)),
		"a node without inputs or a name": small([]*pb.NodeProto{constant, onnx.NewNode("Mul", "y", []string{"images", "six"})}),
		"a node without inputs":           small([]*pb.NodeProto{named, onnx.NewNode("Mul", "y", []string{"images", "six"})}),
		"lists": small([]*pb.NodeProto{onnx.NewNode("Foo", "y", []string{"images"},
			attribute("f", pb.AttributeProto_FLOATS, func(a *pb.AttributeProto) { a.Floats = []float32{1, 2.5} }),
			attribute("none", pb.AttributeProto_INTS, func(a *pb.AttributeProto) {}),
			attribute("s", pb.AttributeProto_STRINGS, func(a *pb.AttributeProto) { a.Strings = [][]byte{[]byte("a"), {}} }))}),
		"types of tensors": small([]*pb.NodeProto{onnx.NewNode("Relu", "y", []string{"images"})},
			&pb.TensorProto{Name: "d", DataType: int32(pb.TensorProto_DOUBLE), Dims: []int64{2}, DoubleData: []float64{1, 2}},
			&pb.TensorProto{Name: "draw", DataType: int32(pb.TensorProto_DOUBLE), Dims: []int64{1, 1}, RawData: []byte("12345678")},
			&pb.TensorProto{Name: "i", DataType: int32(pb.TensorProto_INT32), Dims: []int64{2}, Int32Data: []int32{-1, 2}},
			&pb.TensorProto{Name: "iraw", DataType: int32(pb.TensorProto_INT32), RawData: []byte("1234")},
			&pb.TensorProto{Name: "l", DataType: int32(pb.TensorProto_INT64), Dims: []int64{1}, Int64Data: []int64{-7}},
			&pb.TensorProto{Name: "b", DataType: int32(pb.TensorProto_BOOL), Dims: []int64{3}, Int32Data: []int32{1, 0, 1}},
			&pb.TensorProto{Name: "f", DataType: int32(pb.TensorProto_FLOAT), Dims: []int64{2}, FloatData: []float32{1, 2}},
			&pb.TensorProto{Name: "nan", DataType: int32(pb.TensorProto_FLOAT), RawData: []byte{1, 0, 0xa0, 0x7f}}),
	} {
		t.Run(name, func(t *testing.T) {
			if rest := agree(t, written(t, m), m); rest != nil {
				t.Errorf("not decoded: %v", rest)
			}
		})
	}
}

// TestONNXNodes compares the models of ONNX's own test cases of operators.
func TestONNXNodes(t *testing.T) {
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(root, "onnx-node", "onnx-node-tests.tar"))
	if err != nil {
		t.Skipf("ONNX's node tests are not there (RTX_SHARED_DATA names the folder of test data)")
	}
	defer f.Close()
	models, whole := 0, 0
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(h.Name) != "model.onnx" {
			continue
		}
		file := filepath.Join(t.TempDir(), "model.onnx")
		data, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(file, data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Load(file)
		if err != nil {
			t.Errorf("%s: %v", h.Name, err)
			continue
		}
		models++
		if rest := agree(t, file, m); rest == nil {
			whole++
		}
	}
	t.Logf("%d models, %d of them decoded as a whole", models, whole)
	if models < 300 || whole < models*9/10 {
		t.Errorf("%d of %d models were decoded as a whole, expected nine of ten of 300 or more", whole, models)
	}
}

// TestNoModel has files that hold none.
func TestNoModel(t *testing.T) {
	m := backbone(t)
	data, err := os.ReadFile(m.Path())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"a text": []byte("not a model"), "half a file": data[:len(data)/2], "one byte less": data[:len(data)-1], "a field that never ends": append(slices.Clone(data), 0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"a number that is too long": append(slices.Clone(data), slices.Repeat([]byte{0xff}, 12)...), "a group": append(slices.Clone(data), 0x3b),
		"a number over the end of its message": append(slices.Clone(data), 0x3a, 2, 8, 0x80, 1),
	} {
		file := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(file, content, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := verify.File(t.Context(), file, m); !errors.Is(err, onnx.ErrFormat) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if _, err := verify.File(t.Context(), filepath.Join(t.TempDir(), "none"), m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := verify.File(t.Context(), t.TempDir(), m); err == nil || errors.Is(err, onnx.ErrFormat) {
		t.Errorf("a folder: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := verify.File(ctx, m.Path(), m); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
