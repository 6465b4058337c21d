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
