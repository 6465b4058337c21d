package verify

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// decodableNode removes from a node, in wire format, the attributes that onnx-go
// cannot decode. The message is nil for a node without outputs, which onnx-go
// ignores.
func (v *verifier) decodableNode(message []byte) (Undecoded, []byte, error) {
	n := &pb.NodeProto{}
	if err := proto.Unmarshal(message, n); err != nil {
		return Undecoded{}, nil, fmt.Errorf("a node: %w", err)
	}
	name := nodeName(n)
	if name == "" {
		v.undecoded(Node, n.Name, "no outputs")
		return Undecoded{}, nil, nil
	}
	if len(n.Input) == 0 {
		v.sources[name] = true
	}
	if n.Domain != "" && n.Domain != "ai.onnx" {
		v.undecoded(Node, name, fmt.Sprintf("the domain %q of its operator", n.Domain))
	}
	if n.Overload != "" {
		v.undecoded(Node, name, "the overload of its operator")
	}
	cut := map[int]bool{}
	for i, a := range n.Attribute {
		if why := undecodableAttribute(a); why != "" {
			v.undecoded(Attribute, name+" "+a.Name, why)
			cut[i] = true
		}
	}
	return Undecoded{Part: Node, Name: name}, without(message, nodeAttribute, func(i int) bool { return cut[i] }), nil
}

// nodeName is what a node is called here: its first output.
func nodeName(n *pb.NodeProto) string { return firstName(n.Output) }

// firstName is the first name that is not empty; an empty one stands for an
// optional input or output that is omitted.
func firstName(names []string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// undecodableAttribute says why onnx-go cannot decode an attribute.
func undecodableAttribute(a *pb.AttributeProto) string {
	switch a.Type {
	case pb.AttributeProto_TENSOR:
		if a.T == nil {
			return "no tensor"
		}
		if why := headOfProto(a.T).undecodable(); why != "" {
			return "a tensor: " + why
		}
	case pb.AttributeProto_FLOAT, pb.AttributeProto_INT, pb.AttributeProto_STRING, pb.AttributeProto_FLOATS, pb.AttributeProto_INTS, pb.AttributeProto_STRINGS:
	default:
		return "kind " + a.Type.String()
	}
	if a.RefAttrName != "" {
		return "a reference to another attribute"
	}
	if a.G != nil || len(a.Graphs) > 0 {
		return "more than one value"
	}
	return ""
}

// maxValueBytes is the largest tensor that onnx-go may allocate for the shape of
// an input or output.
const maxValueBytes = 16 << 20

// decodableValue removes from an input or output, in wire format, a type that
// onnx-go cannot decode.
func (v *verifier) decodableValue(number protowire.Number, message []byte) (Undecoded, []byte, error) {
	p := &pb.ValueInfoProto{}
	if err := proto.Unmarshal(message, p); err != nil {
		return Undecoded{}, nil, fmt.Errorf("an input or output: %w", err)
	}
	name := Undecoded{Part: Input, Name: p.Name}
	if number == graphOutput {
		name.Part = Output
	}
	if why := undecodableValue(p); why != "" {
		v.undecoded(name.Part, name.Name, why)
		message = without(message, valueType, func(int) bool { return true })
	}
	return name, message, nil
}

// undecodableValue says why onnx-go cannot decode the type of an input or output.
func undecodableValue(p *pb.ValueInfoProto) string {
	if p.Type == nil {
		return ""
	}
	t := p.Type.GetTensorType()
	if t == nil {
		return "its type is no tensor"
	}
	elem := pb.TensorProto_DataType(t.ElemType)
	dtype, ok := dtypes[elem]
	if !ok {
		return "type " + elem.String()
	}
	dims := fixedDims(p)
	switch n, ok := product(dims); {
	case !ok || n*int64(dtype.Size()) > maxValueBytes:
		return fmt.Sprintf("dimensions %d, of which it would allocate a tensor", dims)
	case n == 0:
		return "no elements"
	}
	return ""
}

// fixedDims are the dimensions of a value that are numbers.
func fixedDims(p *pb.ValueInfoProto) []int64 {
	var dims []int64
	for _, d := range p.GetType().GetTensorType().GetShape().GetDim() {
		if n, ok := d.Value.(*pb.TensorShapeProto_Dimension_DimValue); ok {
			dims = append(dims, n.DimValue)
		}
	}
	return dims
}

// without removes fields from a message: among those of one number, counted from
// 0, the ones for which cut returns true.
func without(message []byte, number protowire.Number, cut func(i int) bool) []byte {
	out := make([]byte, 0, len(message))
	for i := 0; len(message) > 0; {
		found, _, n := protowire.ConsumeField(message)
		if n < 0 {
			return out // not of a message that proto.Unmarshal takes
		}
		if found != number || !cut(i) {
			out = append(out, message[:n]...)
		}
		if found == number {
			i++
		}
		message = message[n:]
	}
	return out
}
