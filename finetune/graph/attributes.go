package graph

import (
	"strconv"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// int returns an integer attribute of a node, or its default.
func (r *reader) int(n *pb.NodeProto, name string, value int) int {
	if a := attribute(n, name); a != nil {
		return int(a.I)
	}
	return value
}

// float returns a float attribute of a node, or its default. The float32 is
// converted to the float64 with the same shortest decimal form, so that 0.9 in the
// model is 0.9 and not 0.8999999761581421.
func (r *reader) float(n *pb.NodeProto, name string, value float64) float64 {
	if a := attribute(n, name); a != nil {
		value, _ = strconv.ParseFloat(strconv.FormatFloat(float64(a.F), 'g', -1, 32), 64)
	}
	return value
}

// text returns an attribute of text of a node, or its default.
func (r *reader) text(n *pb.NodeProto, name, value string) string {
	if a := attribute(n, name); a != nil {
		return string(a.S)
	}
	return value
}

// intList returns an attribute of integers of a node, or its default.
func (r *reader) intList(n *pb.NodeProto, name string, value ...int) []int {
	a := attribute(n, name)
	if a == nil {
		return value
	}
	out := make([]int, len(a.Ints))
	for i, x := range a.Ints {
		out[i] = int(x)
	}
	return out
}

// attribute returns a node's attribute of this name, nil if it has none.
func attribute(n *pb.NodeProto, name string) *pb.AttributeProto {
	for _, a := range n.Attribute {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// intsAttribute makes an attribute of integers.
func intsAttribute(name string, v ...int) *pb.AttributeProto {
	wide := make([]int64, len(v))
	for i, x := range v {
		wide[i] = int64(x)
	}
	return onnx.Ints(name, wide...)
}
