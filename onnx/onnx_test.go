package onnx_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
)

func backbone(t testing.TB) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(filepath.Join("..", "assets", "backbones", "resnet8_std.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ExampleModel_Spec() {
	m, err := onnx.Load("../assets/backbones/resnet8_l2_eps0.25.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	s, assumed, err := m.Spec()
	fmt.Println(s.Arch, s.InputSize, s.Normalized, *s.Robustness, s.Feature, assumed, err)
	// Output: resnet8 [32 32] true {l2 0.25} features [] <nil>
}

// TestRoundTrip saves what was loaded and wants the same message, unknown
// fields included.
func TestRoundTrip(t *testing.T) {
	file := filepath.Join("..", "assets", "backbones", "resnet8_std.onnx")
	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	original = append(original, 0xfa, 0x3f, 0x03, 'n', 'e', 'w') // field 1023, which no schema has
	in, out := filepath.Join(t.TempDir(), "in.onnx"), filepath.Join(t.TempDir(), "out.onnx")
	if err := os.WriteFile(in, original, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	lazy := 0
	for _, i := range m.Proto.Graph.Initializer {
		if len(i.RawData) == 0 {
			lazy++
		}
	}
	if lazy < 9 {
		t.Errorf("only %d initializers were left in the file", lazy)
	}
	if err := m.Save(out); err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var a, b pb.ModelProto
	if err := errors.Join(proto.Unmarshal(original, &a), proto.Unmarshal(saved, &b)); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&a, &b) {
		t.Error("the saved model is another")
	}
	if !strings.Contains(string(b.ProtoReflect().GetUnknown()), "new") {
		t.Error("an unknown field was lost")
	}
}

// TestSessionBytes wants the weights either inside or referred to, and the
// reference to point at the same bytes.
func TestSessionBytes(t *testing.T) {
	m := backbone(t)
	whole, dir, err := m.SessionBytes(1 << 30)
	if err != nil || dir != "" {
		t.Fatal(dir, err)
	}
	small, dir, err := m.SessionBytes(0)
	if err != nil || dir != filepath.Dir(m.Path()) || len(small) > len(whole)/5 {
		t.Fatalf("%d and %d bytes, %q, %v", len(small), len(whole), dir, err)
	}
	file, err := os.ReadFile(m.Path())
	if err != nil {
		t.Fatal(err)
	}
	var a, b pb.ModelProto
	if err := errors.Join(proto.Unmarshal(whole, &a), proto.Unmarshal(small, &b)); err != nil {
		t.Fatal(err)
	}
	for i, want := range a.Graph.Initializer {
		got := b.Graph.Initializer[i]
		if got.DataLocation != pb.TensorProto_EXTERNAL {
			continue
		}
		var offset, length int
		for _, e := range got.ExternalData {
			switch e.Key {
			case "offset":
				fmt.Sscan(e.Value, &offset)
			case "length":
				fmt.Sscan(e.Value, &length)
			}
		}
		if !bytes.Equal(file[offset:offset+length], want.RawData) {
			t.Errorf("%s: the reference points elsewhere", want.Name)
		}
	}
}

func TestExternalData(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte{1, 2, 3, 4}, 600)
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), append([]byte("head"), data...), 0o666); err != nil {
		t.Fatal(err)
	}
	build := func(location, offset, length string) string {
		w := &pb.TensorProto{Name: "w", Dims: []int64{600}, DataType: int32(pb.TensorProto_FLOAT), DataLocation: pb.TensorProto_EXTERNAL,
			ExternalData: []*pb.StringStringEntryProto{{Key: "location", Value: location}, {Key: "offset", Value: offset}, {Key: "length", Value: length}}}
		p := &pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: &pb.GraphProto{
			Node:        []*pb.NodeProto{onnx.NewNode("Identity", "y", []string{"w"})},
			Initializer: []*pb.TensorProto{w}, Output: []*pb.ValueInfoProto{onnx.NewValue("y", pb.TensorProto_FLOAT)},
		}}
		b, err := proto.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "model.onnx")
		if err := os.WriteFile(file, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return file
	}
	m, err := onnx.Load(build("weights.bin", "4", "2400"))
	if err != nil {
		t.Fatal(err)
	}
	// Other weights behind the same file are another model.
	weights := filepath.Join(dir, "weights.bin")
	whole, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	first, err := m.SHA256()
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(weights, append([]byte("head"), bytes.Repeat([]byte{5, 6, 7, 8}, 600)...), 0o666)
	other, err := onnx.Load(filepath.Join(dir, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if second, err := other.SHA256(); err != nil || second == first {
		t.Errorf("SHA-256 %s, %v of other weights", second, err)
	}
	os.WriteFile(weights, whole, 0o666)
	out := filepath.Join(t.TempDir(), "out.onnx")
	if err := m.Save(out); err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(out)
	if err != nil || !bytes.Contains(saved, data) {
		t.Errorf("the weights are not in the saved file: %v", err)
	}
	for _, c := range []struct{ location, offset, length, want string }{
		{"../weights.bin", "0", "4", "outside"},
		{"/etc/passwd", "0", "4", "outside"},
		{"gone.bin", "0", "4", "gone.bin"},
		{"weights.bin", "4", "9999", "2404 bytes"},
		{"weights.bin", "-4", "4", "offset"},
	} {
		if _, err := onnx.Load(build(c.location, c.offset, c.length)); !errors.Is(err, onnx.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestSpecKeepsUnknownKeys(t *testing.T) {
	text := `{"version":1,"input_size":[32,32],"resize":0,"crop":"none","interpolation":"bilinear","range":[0,1],"channels":"rgb","layout":"nchw","normalized":true,"input":"images","zoo":{"b":2,"a":1}}`
	var s onnx.Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(s)
	if err != nil || string(got) != text {
		t.Errorf("%v\n%s\n%s", err, got, text)
	}
}

// TestForeignSpec checks the rules for files without a Spec on real networks.
func TestForeignSpec(t *testing.T) {
	for file, c := range map[string]struct {
		size       int
		normalized bool
		feature    string
	}{
		"nets/resnet20_op13_bn.onnx":                    {32, false, "/ReduceMean_output_0"},
		"nets/resnet20_op13_folded.onnx":                {32, false, "/ReduceMean_output_0"},
		"nets/resnet20_op16_bn.onnx":                    {32, false, "/ReduceMean_output_0"},
		"nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx": {224, false, "features"},
		"ours/resnet8_cifar_std.onnx":                   {32, true, "features"},
		"ours/resnet8_cifar_l2_eps0.5.onnx":             {32, true, "features"},
	} {
		t.Run(file, func(t *testing.T) {
			m, err := onnx.Load(shared(t, file))
			if err != nil {
				t.Fatal(err)
			}
			if bad := m.Validate(); len(bad) > 0 {
				t.Error(bad)
			}
			s, assumed, err := m.Spec()
			if err != nil || len(assumed) == 0 || s.InputSize != [2]int{c.size, c.size} || s.Normalized != c.normalized || s.Feature != c.feature {
				t.Errorf("%+v %v %v", s, assumed, err)
			}
			if resized := s.Resize; c.size == 224 && resized != 256 || c.size == 32 && resized != 0 {
				t.Errorf("resize %d", resized)
			}
		})
	}
}

func TestCut(t *testing.T) {
	m := backbone(t)
	c, err := m.Cut("/l1/Relu_1_output_0")
	if err != nil {
		t.Fatal(err)
	}
	if n, all := len(c.Proto.Graph.Node), len(m.Proto.Graph.Node); n >= all/2 || len(c.Proto.Graph.Initializer) >= len(m.Proto.Graph.Initializer)/2 {
		t.Errorf("%d of %d nodes are left", n, all)
	}
	if bad := c.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	if len(m.Outputs()) != 2 || len(m.Validate()) > 0 {
		t.Error("the model itself was changed")
	}
	last := m.Proto.Graph.Node[len(m.Proto.Graph.Node)-1]
	last.Output = append(last.Output, "") // an optional output that is left out
	_, err = m.Cut("featurs")
	var e *onnx.ValueError
	if !errors.As(err, &e) || e.Value != "featurs" || !slices.Contains(e.Values, "features") || slices.Contains(e.Values, "") || !slices.IsSorted(e.Values) {
		t.Errorf("%v, %+v", err, e)
	}
}

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

// TestSpecCheck refuses what would make all images one.
func TestSpecCheck(t *testing.T) {
	for want, change := range map[string]func(*onnx.Spec){
		"range is [0 0]":      func(s *onnx.Spec) { s.Range = [2]float64{} },
		"clamp is [0.9 0.1]":  func(s *onnx.Spec) { s.Clamp = []float64{0.9, 0.1} },
		"clamp is [1]":        func(s *onnx.Spec) { s.Clamp = []float64{1} },
		"std has a zero":      func(s *onnx.Spec) { s.Std = []float64{1, 0, 1} },
		"version is 2":        func(s *onnx.Spec) { s.Version = 2 },
		"input_size is 0x32":  func(s *onnx.Spec) { s.InputSize = [2]int{0, 32} },
		`channels is "grbg"`:  func(s *onnx.Spec) { s.Channels = "grbg" },
		"mean has 1 values":   func(s *onnx.Spec) { s.Mean = []float64{1} },
		`resize is 0 with`:    func(s *onnx.Spec) { s.Crop = "center" },
		`interpolation is ""`: func(s *onnx.Spec) { s.Interpolation = "" },
	} {
		s, _, err := backbone(t).Spec()
		if err != nil {
			t.Fatal(err)
		}
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
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

func TestRefuses(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("..", "assets", "backbones", "resnet8_std.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ data, want string }{
		"empty":     {"", "empty"},
		"text":      {"some words\n", "text"},
		"html":      {" <!doctype html>"[1:], "HTML"},
		"lfs":       {"version https://git-lfs.github.com/spec/v1\noid sha256:0", "LFS"},
		"zip":       {"PK\x03\x04\x00\x00", "zip"},
		"truncated": {string(whole[:len(whole)/2]), "it ends after"},
		"short":     {string(whole[:20]), "it ends after"},
		"huge":      {"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01", "it ends after"},
		"no graph":  {"\x08\x08", "no graph"},
	} {
		if _, err := onnx.Parse([]byte(c.data)); !errors.Is(err, onnx.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		breakIt func(*pb.ModelProto)
		want    string
	}{
		"undefined":  {func(p *pb.ModelProto) { p.Graph.Node[0].Input[0] = "nowhere" }, `reads "nowhere"`},
		"twice":      {func(p *pb.ModelProto) { p.Graph.Node[1].Output[0] = p.Graph.Node[0].Output[0] }, "defined twice"},
		"no opset":   {func(p *pb.ModelProto) { p.OpsetImport = nil }, "no operator set"},
		"old opset":  {func(p *pb.ModelProto) { p.OpsetImport[0].Version = 7 }, "opset 7"},
		"no output":  {func(p *pb.ModelProto) { p.Graph.Output = nil }, "no output"},
		"dims":       {func(p *pb.ModelProto) { p.Graph.Initializer[0].Dims[0]++ }, "expected"},
		"dtype":      {func(p *pb.ModelProto) { p.Graph.Initializer[0].DataType = 99 }, "element type 99"},
		"overflow":   {func(p *pb.ModelProto) { p.Graph.Initializer[0].Dims = []int64{1 << 40, 1 << 40} }, "impossible dims"},
		"lost value": {func(p *pb.ModelProto) { p.Graph.Output[0].Name = "x" }, `output "x"`},
	} {
		m := backbone(t)
		c.breakIt(m.Proto)
		if bad := strings.Join(m.Validate(), "; "); !strings.Contains(bad, c.want) {
			t.Errorf("%s: %q, want %q", name, bad, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, p := range []*pb.ModelProto{
		{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: &pb.GraphProto{
			Node:        []*pb.NodeProto{onnx.NewNode("Sub", "a", []string{"x", "m"}), onnx.NewNode("Flatten", "b", []string{"a"}), onnx.NewNode("Gemm", "y", []string{"b", "w"})},
			Initializer: []*pb.TensorProto{onnx.NewFloats("m", []int64{1, 3, 1, 1}, 1, 2, 3), onnx.NewFloats("w", []int64{1, 1}, 1)},
			Input:       []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(8), onnx.Sized(8))},
			Output:      []*pb.ValueInfoProto{onnx.NewValue("y", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(1))},
		}},
	} {
		b, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Parse(data)
		if err != nil {
			return
		}
		m.Inspect()
		if s, _, err := m.Spec(); err == nil && s.Check() == nil {
			if g, err := m.ForImages(s, onnx.ImageConfig{Pool: true}); err == nil {
				if b, _, err := g.SessionBytes(1 << 20); err == nil {
					if _, err := onnx.Parse(b); err != nil {
						t.Errorf("what was written is not read: %v", err)
					}
				}
			}
		}
	})
}

// TestTwoFolders refuses external data in two folders, which a session could not
// find, unless the weights are small enough to be part of the model.
func TestTwoFolders(t *testing.T) {
	dir := t.TempDir()
	p := &pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: &pb.GraphProto{
		Node: []*pb.NodeProto{onnx.NewNode("Add", "y", []string{"a/w", "b/w"})}, Output: []*pb.ValueInfoProto{onnx.NewValue("y", pb.TensorProto_FLOAT)},
	}}
	for _, name := range []string{"a/w", "b/w"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, make([]byte, 2400), 0o666)); err != nil {
			t.Fatal(err)
		}
		p.Graph.Initializer = append(p.Graph.Initializer, &pb.TensorProto{
			Name: name, Dims: []int64{600}, DataType: int32(pb.TensorProto_FLOAT), DataLocation: pb.TensorProto_EXTERNAL,
			ExternalData: []*pb.StringStringEntryProto{{Key: "location", Value: name}},
		})
	}
	b, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(file, b, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if graph, folder, err := m.SessionBytes(1 << 20); err != nil || folder != "" || len(graph) < 4800 {
		t.Errorf("%d bytes, folder %q, %v", len(graph), folder, err)
	}
	if _, _, err := m.SessionBytes(0); err == nil || !strings.Contains(err.Error(), "two folders") {
		t.Errorf("two folders: %v", err)
	}
}
