package onnx

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Dim is one dimension: its size, or -1 and perhaps a name where the size is open.
type Dim struct {
	Size int64
	Name string
}

// Value is an input, an output or another value of a graph.
type Value struct {
	Name  string
	DType pb.TensorProto_DataType
	Shape []Dim
	Known bool // the shape is; a scalar has a known shape of no dimensions
}

// ShapeStrings writes the dimensions, "?" for one with neither size nor name.
func (v Value) ShapeStrings() []string {
	out := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		switch {
		case d.Size > 0 || d.Size == 0 && d.Name == "" && v.Known:
			out[i] = fmt.Sprint(d.Size)
		case d.Name != "":
			out[i] = d.Name
		default:
			out[i] = "?"
		}
	}
	return out
}

// String writes name, element type and shape: "images float[N,3,224,224]".
func (v Value) String() string {
	return fmt.Sprintf("%s %s[%s]", v.Name, strings.ToLower(v.DType.String()), strings.Join(v.ShapeStrings(), ","))
}

func (v Value) equal(o Value) bool { return v.String() == o.String() }

func valueOf(p *pb.ValueInfoProto) Value {
	v := Value{Name: p.GetName()}
	t := p.GetType().GetTensorType()
	if t == nil {
		return v
	}
	v.DType = pb.TensorProto_DataType(t.ElemType)
	if t.Shape == nil {
		return v
	}
	v.Known = true
	for _, d := range t.Shape.Dim {
		dim := Dim{Size: -1, Name: d.GetDimParam()}
		if _, ok := d.Value.(*pb.TensorShapeProto_Dimension_DimValue); ok {
			dim.Size = d.GetDimValue()
		}
		v.Shape = append(v.Shape, dim)
	}
	return v
}

// Inputs lists the inputs that must be given: those that are not initializers.
func (m *Model) Inputs() []Value {
	own := map[string]bool{}
	for _, t := range m.Proto.Graph.Initializer {
		own[t.Name] = true
	}
	var out []Value
	for _, p := range m.Proto.Graph.Input {
		if !own[p.Name] {
			out = append(out, valueOf(p))
		}
	}
	return out
}

// Outputs lists the outputs.
func (m *Model) Outputs() []Value {
	var out []Value
	for _, p := range m.Proto.Graph.Output {
		out = append(out, valueOf(p))
	}
	return out
}
