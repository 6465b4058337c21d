package verify_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// altered is the file of a model after a change of its message.
func altered(t *testing.T, m *onnx.Model, change func(g *pb.GraphProto)) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	p := &pb.ModelProto{}
	if err := proto.Unmarshal(b.Bytes(), p); err != nil {
		t.Fatal(err)
	}
	change(p.Graph)
	data, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "altered.onnx")
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

func find[T interface{ GetName() string }](list []T, name string) T {
	return list[slices.IndexFunc(list, func(x T) bool { return x.GetName() == name })]
}

// nodeOf is the node that makes a value.
func nodeOf(g *pb.GraphProto, output string) *pb.NodeProto {
	return g.Node[slices.IndexFunc(g.Node, func(n *pb.NodeProto) bool { return n.Output[0] == output })]
}

func place(g *pb.GraphProto, output string) int { return slices.Index(g.Node, nodeOf(g, output)) }

// TestAltered changes one thing of a file and wants to be told which.
func TestAltered(t *testing.T) {
	m := backbone(t)
	g := m.Proto.Graph
	var conv, add *pb.NodeProto
	for _, n := range g.Node {
		switch n.OpType {
		case "Conv":
			conv = n
		case "Add":
			add = n
		}
	}
	kernel, sum := conv.Output[0], add.Output[0]
	weight := conv.Input[1]
	for name, c := range map[string]struct {
		change func(g *pb.GraphProto)
		want   []string // what the differences say
	}{
		"nothing":                   {func(*pb.GraphProto) {}, nil},
		"a bit of a weight":         {func(g *pb.GraphProto) { find(g.Initializer, weight).RawData[77] ^= 1 }, []string{"weight " + weight}},
		"the sign of a zero":        {func(g *pb.GraphProto) { copy(find(g.Initializer, weight).RawData, []byte{0, 0, 0, 0x80}) }, []string{"weight " + weight}},
		"dimensions of a weight":    {func(g *pb.GraphProto) { slices.Reverse(find(g.Initializer, weight).Dims) }, []string{"weight " + weight}},
		"the type of a weight":      {func(g *pb.GraphProto) { find(g.Initializer, weight).DataType = int32(pb.TensorProto_INT32) }, []string{"weight " + weight}},
		"a type without a decoder":  {func(g *pb.GraphProto) { find(g.Initializer, weight).DataType = int32(pb.TensorProto_UINT32) }, []string{"weight " + weight}},
		"a weight less":             {func(g *pb.GraphProto) { g.Initializer = slices.Delete(g.Initializer, 3, 4) }, []string{"weight " + g.Initializer[3].Name}},
		"a weight more":             {func(g *pb.GraphProto) { g.Initializer = append(g.Initializer, onnx.NewInts("more", 1)) }, []string{"weight more"}},
		"a weight twice":            {func(g *pb.GraphProto) { g.Initializer = append(g.Initializer, g.Initializer[0]) }, []string{"weight " + g.Initializer[0].Name}},
		"the name of a weight":      {func(g *pb.GraphProto) { find(g.Initializer, weight).Name = "other" }, []string{"weight other", "weight " + weight}},
		"swapped names of weights":  {func(g *pb.GraphProto) { a, b := pair(g); a.Name, b.Name = b.Name, a.Name }, swapped(g)},
		"an operator":               {func(g *pb.GraphProto) { nodeOf(g, sum).OpType = "Mul" }, []string{"node " + sum}},
		"an edge":                   {func(g *pb.GraphProto) { nodeOf(g, sum).Input[1] = "images" }, []string{"node " + sum}},
		"swapped edges":             {func(g *pb.GraphProto) { slices.Reverse(nodeOf(g, sum).Input) }, []string{"node " + sum}},
		"an edge less":              {func(g *pb.GraphProto) { nodeOf(g, sum).Input = add.Input[:1] }, []string{"node " + sum}},
		"no edges":                  {func(g *pb.GraphProto) { nodeOf(g, sum).Input = nil }, []string{"node " + sum}},
		"the name of a value":       {func(g *pb.GraphProto) { nodeOf(g, sum).Output[0] = "other" }, []string{"node other", "node " + sum}},
		"another output":            {func(g *pb.GraphProto) { n := nodeOf(g, sum); n.Output = append(n.Output, "other") }, []string{"node " + sum}},
		"a node less":               {func(g *pb.GraphProto) { i := place(g, sum); g.Node = slices.Delete(g.Node, i, i+1) }, []string{"node " + sum}},
		"a node more":               {func(g *pb.GraphProto) { g.Node = append(g.Node, onnx.NewNode("Relu", "other", []string{sum})) }, []string{"node other"}},
		"a node twice":              {func(g *pb.GraphProto) { g.Node = append(g.Node, nodeOf(g, sum)) }, []string{"node " + sum}},
		"the order of nodes":        {func(g *pb.GraphProto) { i := place(g, sum); g.Node[i], g.Node[i-1] = g.Node[i-1], g.Node[i] }, []string{"node " + g.Node[place(g, sum)-1].Output[0]}},
		"an attribute":              {func(g *pb.GraphProto) { find(nodeOf(g, kernel).Attribute, "strides").Ints[1]++ }, []string{"attribute " + kernel + " strides"}},
		"an attribute less":         {func(g *pb.GraphProto) { n := nodeOf(g, kernel); n.Attribute = n.Attribute[1:] }, []string{"attribute " + kernel + " " + conv.Attribute[0].Name}},
		"an attribute more":         {func(g *pb.GraphProto) { n := nodeOf(g, kernel); n.Attribute = append(n.Attribute, onnx.Int("more", 1)) }, []string{"attribute " + kernel + " more"}},
		"the name of an attribute":  {func(g *pb.GraphProto) { find(nodeOf(g, kernel).Attribute, "strides").Name = "steps" }, []string{"attribute " + kernel + " strides", "attribute " + kernel + " steps"}},
		"the type of an attribute":  {func(g *pb.GraphProto) { find(nodeOf(g, kernel).Attribute, "strides").Type = pb.AttributeProto_INT }, []string{"attribute " + kernel + " strides"}},
		"an attribute that is none": {func(g *pb.GraphProto) { find(nodeOf(g, kernel).Attribute, "strides").Type = pb.AttributeProto_GRAPH }, []string{"attribute " + kernel + " strides"}},
		"the name of an input":      {func(g *pb.GraphProto) { g.Input[0].Name = "other" }, []string{"input 0"}},
		"the size of an input":      {func(g *pb.GraphProto) { size(g.Input[0], 2).DimValue++ }, []string{"input images"}},
		"the type of an input":      {func(g *pb.GraphProto) { g.Input[0].GetType().GetTensorType().ElemType = int32(pb.TensorProto_UINT8) }, []string{"input images"}},
		"an input without a type":   {func(g *pb.GraphProto) { g.Input[0].Type = nil }, []string{"input images"}},
		"an input of halves":        {func(g *pb.GraphProto) { g.Input[0].GetType().GetTensorType().ElemType = int32(pb.TensorProto_FLOAT16) }, []string{"input images"}},
		"an input more":             {func(g *pb.GraphProto) { g.Input = append(g.Input, onnx.NewValue("other", pb.TensorProto_FLOAT)) }, []string{"input other"}},
		"an output less":            {func(g *pb.GraphProto) { g.Output = g.Output[:1] }, []string{"output " + g.Output[1].Name}},
		"swapped outputs":           {func(g *pb.GraphProto) { slices.Reverse(g.Output) }, []string{"output 0", "output 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := verify.File(t.Context(), altered(t, m, c.change), m)
			var different *verify.DifferenceError
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &different) {
				t.Fatalf("the error is %v", err)
			}
			if r == nil || r.Nodes < len(g.Node)-1 {
				t.Errorf("the result is %v, expected what was compared", r)
			}
			var got []string
			for _, d := range different.Differences {
				got = append(got, string(d.Part)+" "+d.Name)
				if d.Model == d.File || !strings.Contains(err.Error(), d.String()) {
					t.Errorf("difference %+v in %q", d, err)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("the differences are %q, expected %q: %v", got, c.want, err)
			}
		})
	}
}

// pair is two weights of the same type and dimensions.
func pair(g *pb.GraphProto) (a, b *pb.TensorProto) {
	for i, a := range g.Initializer {
		for _, b := range g.Initializer[i+1:] {
			if a.DataType == b.DataType && slices.Equal(a.Dims, b.Dims) {
				return a, b
			}
		}
	}
	return nil, nil
}

func swapped(g *pb.GraphProto) []string {
	a, b := pair(g)
	return []string{"weight " + b.Name, "weight " + a.Name}
}

func size(v *pb.ValueInfoProto, i int) *pb.TensorShapeProto_Dimension_DimValue {
	return v.GetType().GetTensorType().GetShape().Dim[i].Value.(*pb.TensorShapeProto_Dimension_DimValue)
}

// TestAlteredAttributes changes a bit of an attribute of each type.
func TestAlteredAttributes(t *testing.T) {
	for kind, set := range map[pb.AttributeProto_AttributeType][2]func(*pb.AttributeProto){
		pb.AttributeProto_FLOAT:   {func(a *pb.AttributeProto) { a.F = 1 }, func(a *pb.AttributeProto) { a.F = 1.0000001 }},
		pb.AttributeProto_INT:     {func(a *pb.AttributeProto) { a.I = 1 }, func(a *pb.AttributeProto) { a.I = 0 }},
		pb.AttributeProto_STRING:  {func(a *pb.AttributeProto) { a.S = []byte("a") }, func(a *pb.AttributeProto) { a.S = []byte("A") }},
		pb.AttributeProto_FLOATS:  {func(a *pb.AttributeProto) { a.Floats = []float32{1, 0} }, func(a *pb.AttributeProto) { a.Floats = []float32{1} }},
		pb.AttributeProto_INTS:    {func(a *pb.AttributeProto) { a.Ints = []int64{1, 2} }, func(a *pb.AttributeProto) { a.Ints = []int64{2, 1} }},
		pb.AttributeProto_STRINGS: {func(a *pb.AttributeProto) { a.Strings = [][]byte{{'a'}} }, func(a *pb.AttributeProto) { a.Strings = [][]byte{{'b'}} }},
		pb.AttributeProto_TENSOR:  {func(a *pb.AttributeProto) { a.T = onnx.NewFloats("", []int64{2}, 1, 2) }, func(a *pb.AttributeProto) { a.T = onnx.NewFloats("", []int64{2}, 1, 3) }},
	} {
		m := small([]*pb.NodeProto{onnx.NewNode("Foo", "y", []string{"images"}, attribute("x", kind, set[0]))})
		file := altered(t, m, func(g *pb.GraphProto) { set[1](g.Node[0].Attribute[0]) })
		_, err := verify.File(t.Context(), file, m)
		if different := (*verify.DifferenceError)(nil); !errors.As(err, &different) || different.Differences[0].Name != "y x" || len(different.Differences) != 1 {
			t.Errorf("%v: the error is %v", kind, err)
		}
	}
}
