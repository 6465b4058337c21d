package verify

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"gorgonia.org/tensor"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// External is the reason why weights outside of the file are not compared.
const External = "external data"

// dtypes are the types of inputs and outputs that onnx-go decodes.
var dtypes = map[pb.TensorProto_DataType]tensor.Dtype{
	pb.TensorProto_FLOAT: tensor.Float32, pb.TensorProto_DOUBLE: tensor.Float64, pb.TensorProto_BOOL: tensor.Bool, pb.TensorProto_STRING: tensor.String,
	pb.TensorProto_INT8: tensor.Int8, pb.TensorProto_INT16: tensor.Int16, pb.TensorProto_INT32: tensor.Int32, pb.TensorProto_INT64: tensor.Int64,
	pb.TensorProto_UINT8: tensor.Uint8, pb.TensorProto_UINT16: tensor.Uint16, pb.TensorProto_UINT32: tensor.Uint32, pb.TensorProto_UINT64: tensor.Uint64,
	pb.TensorProto_COMPLEX64: tensor.Complex64, pb.TensorProto_COMPLEX128: tensor.Complex128,
}

// withValues are those of which it decodes values, too.
var withValues = []pb.TensorProto_DataType{pb.TensorProto_FLOAT, pb.TensorProto_DOUBLE, pb.TensorProto_INT32, pb.TensorProto_INT64, pb.TensorProto_BOOL}

// head is a tensor of a file without its values.
type head struct {
	name     string
	dtype    pb.TensorProto_DataType
	dims     []int64
	external bool
	segment  bool
	raw      int64 // bytes of raw_data, -1: there is none
	size     int64 // bytes of the message
}

// headOf reads the head of a tensor in wire format.
func headOf(message []byte) (head, error) {
	var rest []byte // the message without values
	raw := int64(-1)
	for b := message; len(b) > 0; {
		number, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			return head{}, protowire.ParseError(n)
		}
		switch number {
		case 4, 5, 6, 7, 10, 11: // float_data and so on
		case 9:
			if _, _, tag := protowire.ConsumeTag(b); typ == protowire.BytesType {
				content, _ := protowire.ConsumeBytes(b[tag:])
				raw = int64(len(content))
			}
		default:
			rest = append(rest, b[:n]...)
		}
		b = b[n:]
	}
	t := &pb.TensorProto{}
	if err := proto.Unmarshal(rest, t); err != nil {
		return head{}, err
	}
	h := headOfProto(t)
	h.raw, h.size = raw, int64(len(message))
	return h, nil
}

func headOfProto(t *pb.TensorProto) head {
	h := head{
		name: t.Name, dtype: pb.TensorProto_DataType(t.DataType), dims: t.Dims,
		external: t.DataLocation == pb.TensorProto_EXTERNAL, segment: t.Segment != nil, raw: -1, size: int64(proto.Size(t)),
	}
	if t.RawData != nil {
		h.raw = int64(len(t.RawData))
	}
	return h
}

// undecodable says why onnx-go cannot decode a tensor, or would decode it
// wrongly; "" where it can.
func (h head) undecodable() string {
	switch {
	case h.external:
		return External
	case h.segment:
		return "a segment of a tensor"
	case !slices.Contains(withValues, h.dtype):
		return "type " + h.dtype.String()
	}
	n, ok := product(h.dims)
	bytes := n * int64(dtypes[h.dtype].Size())
	switch {
	case h.dtype == pb.TensorProto_BOOL && h.raw >= 0:
		return "type BOOL in raw_data"
	case !ok:
		return fmt.Sprintf("impossible dimensions %d", h.dims)
	case n == 0:
		return "no elements"
	case h.raw >= 0 && h.raw != bytes:
		return fmt.Sprintf("%d bytes in raw_data, the dimensions %d need %d", h.raw, h.dims, bytes)
	case n > h.size:
		return fmt.Sprintf("fewer values than the dimensions %d need", h.dims)
	}
	return ""
}

// product is the number of elements; ok is false where it cannot be.
func product(dims []int64) (n int64, ok bool) {
	n = 1
	for _, d := range dims {
		if d < 0 || d > 0 && n > math.MaxInt32/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// decodableNode takes out of a node, in wire format, the attributes that onnx-go
// cannot decode. A node without outputs, which it drops, becomes nil.
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
	return Undecoded{Part: Node, Name: name}, without(message, 5, func(i int) bool { return cut[i] }), nil
}

// nodeName is what a node is called here: its first output.
func nodeName(n *pb.NodeProto) string { return firstName(n.Output) }

// firstName is the first name that is not "", which stands for what is left out.
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
	if a.G != nil || len(a.Graphs) > 0 || a.RefAttrName != "" {
		return "more than one value"
	}
	return ""
}

// maxValueBytes is the largest tensor that onnx-go may allocate for the shape of
// an input or output.
const maxValueBytes = 16 << 20

// decodableValue takes out of an input or output, in wire format, a type that
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
		message = without(message, 2, func(int) bool { return true })
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
	if n, ok := product(dims); !ok || n*int64(dtype.Size()) > maxValueBytes {
		return fmt.Sprintf("dimensions %d, of which it would allocate a tensor", dims)
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

// without takes fields out of a message: of those that have a number, counted
// from 0 on, the ones for which cut is true.
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
