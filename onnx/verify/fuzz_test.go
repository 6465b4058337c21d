package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// content is everything of a model that onnx-go can decode, as package onnx
// reads it.
func content(m *onnx.Model) (string, error) {
	var b bytes.Buffer
	for _, n := range m.Proto.Graph.Node {
		fmt.Fprintf(&b, "%q %q %q\n", n.OpType, n.Input, n.Output)
		seen := map[string]string{}
		for _, a := range n.Attribute { // the last of a name counts
			seen[a.Name] = fmt.Sprintf("%v %x %d %q %x %d %q %v", a.Type, a.F, a.I, a.S, a.Floats, a.Ints, a.Strings, a.T)
		}
		fmt.Fprintln(&b, seen)
	}
	seen := map[string]bool{}
	for _, t := range m.Tensors() {
		values, err := t.Bytes()
		if err != nil || seen[t.Name] {
			return "", errors.Join(err, errors.New("a name twice"))
		}
		seen[t.Name] = true
		fmt.Fprintf(&b, "%q %v %d %x\n", t.Name, t.DType, t.Dims, values)
	}
	for _, v := range append(m.Inputs(), m.Outputs()...) {
		fmt.Fprintf(&b, "%q\n", v.Name)
	}
	return b.String(), nil
}

// FuzzFile wants an answer, not a panic, of any bytes, and that of two models
// that package onnx finds different none passes for the other.
func FuzzFile(f *testing.F) {
	constant := onnx.NewNode("Constant", "six", nil, &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: onnx.NewFloats("", nil, 6)})
	base := small([]*pb.NodeProto{constant, onnx.NewNode("Pad", "p", []string{"images", "pads"}, &pb.AttributeProto{Name: "mode", Type: pb.AttributeProto_STRING, S: []byte("edge")}), onnx.NewNode("Clip", "y", []string{"p", "", "six"})}, onnx.NewInts("pads", 0, 0, 0, 0))
	want, err := content(base)
	if err != nil {
		f.Fatal(err)
	}
	half := &pb.TensorProto{Name: "h", DataType: int32(pb.TensorProto_FLOAT16), Dims: []int64{1}, RawData: []byte{1, 2}}
	graph := &pb.AttributeProto{Name: "then_branch", Type: pb.AttributeProto_GRAPH, G: &pb.GraphProto{Name: "g", Node: []*pb.NodeProto{constant}}}
	for _, m := range []*onnx.Model{base, small([]*pb.NodeProto{onnx.NewNode("If", "y", []string{"images"}, graph, onnx.Ints("axes", 1, 2))}, half, &pb.TensorProto{Name: "b", DataType: int32(pb.TensorProto_BOOL), Dims: []int64{1}, Int32Data: []int32{1}})} {
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	var b bytes.Buffer
	if err := base.Write(&b); err != nil {
		f.Fatal(err)
	}
	own, err := verify.Read(f.Context(), &b, int64(b.Len()), base)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := verify.Read(t.Context(), bytes.NewReader(data), int64(len(data)), base)
		if different := (*verify.DifferenceError)(nil); err != nil && !errors.As(err, &different) && !errors.Is(err, onnx.ErrFormat) {
			t.Fatal(err)
		}
		m, failed := onnx.Parse(data)
		if failed != nil {
			return
		}
		if _, err := verify.Read(t.Context(), bytes.NewReader(data), int64(len(data)), m); err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
		if err != nil || len(r.Undecoded) != len(own.Undecoded) {
			return
		}
		if got, e := content(m); e == nil && got != want {
			t.Errorf("the file has\n%s\nand passes for\n%s", got, want)
		}
	})
}
