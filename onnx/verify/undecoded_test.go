package verify_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// TestUndecoded has what onnx-go cannot decode, or decodes wrongly, and wants
// it named and everything else compared.
func TestUndecoded(t *testing.T) {
	relu := onnx.NewNode("Relu", "y", []string{"images"})
	with := func(a *pb.AttributeProto) *onnx.Model {
		return small([]*pb.NodeProto{onnx.NewNode("Foo", "y", []string{"images"}, onnx.Int("before", 1), a, onnx.Int("after", 1))})
	}
	weight := func(kind pb.TensorProto_DataType, raw int, dims ...int64) *onnx.Model {
		return small([]*pb.NodeProto{relu}, &pb.TensorProto{Name: "c", DataType: int32(kind), Dims: dims, RawData: make([]byte, raw)})
	}
	tensor := func(w *pb.TensorProto) *onnx.Model { return small([]*pb.NodeProto{relu}, w) }
	other := onnx.NewNode("Relu", "y", []string{"images"})
	other.Domain = "com.example"
	silent := onnx.NewNode("Print", "", []string{"images"})
	silent.Output, silent.Name = nil, "silent"
	input := func(v *pb.ValueInfoProto) *onnx.Model {
		m := small([]*pb.NodeProto{relu})
		m.Proto.Graph.Input = append(m.Proto.Graph.Input, v)
		return m
	}
	nameless := small([]*pb.NodeProto{relu})
	nameless.Proto.Graph.Initializer[0].Name = ""
	for name, c := range map[string]struct {
		m    *onnx.Model
		want verify.Undecoded
	}{
		"bool":           {weight(pb.TensorProto_BOOL, 16, 16), verify.Undecoded{verify.Weight, "c", "type BOOL in raw_data"}},
		"half":           {weight(pb.TensorProto_FLOAT16, 4, 2), verify.Undecoded{verify.Weight, "c", "type FLOAT16"}},
		"four bits":      {weight(pb.TensorProto_INT4, 2, 4), verify.Undecoded{verify.Weight, "c", "type INT4"}},
		"unknown type":   {weight(99, 2, 4), verify.Undecoded{verify.Weight, "c", "type 99"}},
		"too few bytes":  {weight(pb.TensorProto_FLOAT, 8, 3), verify.Undecoded{verify.Weight, "c", "8 bytes in raw_data, the dimensions [3] need 12"}},
		"scalar":         {weight(pb.TensorProto_FLOAT, 8), verify.Undecoded{verify.Weight, "c", "8 bytes in raw_data, the dimensions [] need 4"}},
		"huge":           {weight(pb.TensorProto_FLOAT, 0, 1<<40), verify.Undecoded{verify.Weight, "c", "impossible dimensions [1099511627776]"}},
		"negative":       {weight(pb.TensorProto_FLOAT, 4, -1), verify.Undecoded{verify.Weight, "c", "impossible dimensions [-1]"}},
		"empty":          {weight(pb.TensorProto_FLOAT, 0, 0), verify.Undecoded{verify.Weight, "c", "no elements"}},
		"no values":      {tensor(&pb.TensorProto{Name: "c", DataType: 1, Dims: []int64{1}}), verify.Undecoded{verify.Weight, "c", "No data found"}},
		"too few floats": {tensor(&pb.TensorProto{Name: "c", DataType: 1, Dims: []int64{1000}, FloatData: []float32{1}}), verify.Undecoded{verify.Weight, "c", "fewer values than the dimensions [1000] need"}},
		"a float less":   {tensor(&pb.TensorProto{Name: "c", DataType: 1, Dims: []int64{3}, FloatData: []float32{1, 2}}), verify.Undecoded{verify.Weight, "c", "sanity check failed: Shape mismatch. Expected (3). Got 2"}},
		"segment":        {tensor(&pb.TensorProto{Name: "c", DataType: 1, Dims: []int64{1}, FloatData: []float32{1}, Segment: &pb.TensorProto_Segment{End: 1}}), verify.Undecoded{verify.Weight, "c", "a segment of a tensor"}},
		"no name":        {nameless, verify.Undecoded{verify.Weight, "", "initializer should have a name"}},
		"domain":         {small([]*pb.NodeProto{other}), verify.Undecoded{verify.Node, "y", `the domain "com.example" of its operator`}},
		"no outputs":     {small([]*pb.NodeProto{silent, relu}), verify.Undecoded{verify.Node, "silent", "no outputs"}},
		"graph":          {with(attribute("x", pb.AttributeProto_GRAPH, func(a *pb.AttributeProto) { a.G = &pb.GraphProto{Name: "g"} })), verify.Undecoded{verify.Attribute, "y x", "kind GRAPH"}},
		"graphs":         {with(attribute("x", pb.AttributeProto_GRAPHS, func(a *pb.AttributeProto) {})), verify.Undecoded{verify.Attribute, "y x", "kind GRAPHS"}},
		"tensors":        {with(attribute("x", pb.AttributeProto_TENSORS, func(a *pb.AttributeProto) {})), verify.Undecoded{verify.Attribute, "y x", "kind TENSORS"}},
		"sparse":         {with(attribute("x", pb.AttributeProto_SPARSE_TENSOR, func(a *pb.AttributeProto) {})), verify.Undecoded{verify.Attribute, "y x", "kind SPARSE_TENSOR"}},
		"no kind":        {with(attribute("x", pb.AttributeProto_UNDEFINED, func(a *pb.AttributeProto) {})), verify.Undecoded{verify.Attribute, "y x", "kind UNDEFINED"}},
		"no tensor":      {with(attribute("x", pb.AttributeProto_TENSOR, func(a *pb.AttributeProto) {})), verify.Undecoded{verify.Attribute, "y x", "no tensor"}},
		"two values":     {with(attribute("x", pb.AttributeProto_INT, func(a *pb.AttributeProto) { a.G = &pb.GraphProto{} })), verify.Undecoded{verify.Attribute, "y x", "more than one value"}},
		"reference":      {with(attribute("x", pb.AttributeProto_INT, func(a *pb.AttributeProto) { a.RefAttrName = "other" })), verify.Undecoded{verify.Attribute, "y x", "a reference to another attribute"}},
		"half in a node": {with(attribute("x", pb.AttributeProto_TENSOR, func(a *pb.AttributeProto) { a.T = &pb.TensorProto{DataType: 10, RawData: make([]byte, 2)} })), verify.Undecoded{verify.Attribute, "y x", "a tensor: type FLOAT16"}},
		"a float less in a node": {small([]*pb.NodeProto{onnx.NewNode("Foo", "x", []string{"images"}, attribute("x", pb.AttributeProto_TENSOR, func(a *pb.AttributeProto) {
			a.T = &pb.TensorProto{DataType: 1, Dims: []int64{3}, FloatData: []float32{1, 2}}
		})), relu}), verify.Undecoded{verify.Node, "x", "sanity check failed: Shape mismatch. Expected (3). Got 2"}},
		"input of half": {input(onnx.NewValue("h", pb.TensorProto_FLOAT16, onnx.Sized(2))), verify.Undecoded{verify.Input, "h", "type FLOAT16"}},
		"huge input":    {input(onnx.NewValue("h", pb.TensorProto_FLOAT, onnx.Sized(1<<30), onnx.Sized(1<<30))), verify.Undecoded{verify.Input, "h", "dimensions [1073741824 1073741824], of which it would allocate a tensor"}},
		"large input":   {input(onnx.NewValue("h", pb.TensorProto_FLOAT, onnx.Sized(1<<12), onnx.Sized(1<<12))), verify.Undecoded{verify.Input, "h", "dimensions [4096 4096], of which it would allocate a tensor"}},
		"empty input":   {input(onnx.NewValue("h", pb.TensorProto_FLOAT, onnx.Sized(0))), verify.Undecoded{verify.Input, "h", "no elements"}},
		"list":          {input(&pb.ValueInfoProto{Name: "h", Type: &pb.TypeProto{Value: &pb.TypeProto_SequenceType{SequenceType: &pb.TypeProto_Sequence{}}}}), verify.Undecoded{verify.Input, "h", "its type is no tensor"}},
	} {
		t.Run(name, func(t *testing.T) {
			if rest := agree(t, written(t, c.m), c.m); !slices.Equal(rest, []verify.Undecoded{c.want}) {
				t.Errorf("not decoded: %q, expected %q", rest, c.want)
			}
		})
	}
}

// TestExternal has weights outside of the file.
func TestExternal(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), make([]byte, 8), 0o666); err != nil {
		t.Fatal(err)
	}
	m := small([]*pb.NodeProto{onnx.NewNode("Relu", "y", []string{"images"})}, &pb.TensorProto{
		Name: "c", DataType: int32(pb.TensorProto_FLOAT), Dims: []int64{2}, DataLocation: pb.TensorProto_EXTERNAL,
		ExternalData: []*pb.StringStringEntryProto{{Key: "location", Value: "weights.bin"}},
	})
	file := filepath.Join(dir, "model.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if rest, want := agree(t, file, m), (verify.Undecoded{verify.Weight, "c", verify.External}); !slices.Equal(rest, []verify.Undecoded{want}) {
		t.Errorf("not decoded: %q, expected %q", rest, want)
	}
}

// TestMetadata wants the name of everything around the graph.
func TestMetadata(t *testing.T) {
	m := backbone(t)
	r, err := verify.File(t.Context(), m.Path(), m)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range r.Undecoded {
		got = append(got, string(u.Part)+" "+u.Name+": "+u.Why)
	}
	want := []string{
		"metadata IR version: not returned by onnx-go", "metadata opset ai.onnx: not returned by onnx-go", "metadata producer: not returned by onnx-go", "metadata rtx.spec: not returned by onnx-go",
		"metadata classes: not returned by onnx-go", "metadata name of the graph: not returned by onnx-go", "metadata names of nodes: not returned by onnx-go",
		"input images: open dimension 0", "output logits: open dimension 0", "output features: open dimension 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("not decoded: %q, expected %q", got, want)
	}
}
