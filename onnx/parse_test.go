package onnx_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

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
