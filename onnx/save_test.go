package onnx_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

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
	file := build("weights.bin", "-4", "-5")
	for range 50 { // always the same fault
		if _, err := onnx.Load(file); err == nil || !strings.Contains(err.Error(), `offset is "-4"`) {
			t.Fatalf("two faults: %v", err)
		}
	}
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
