package safetensors

import "github.com/robust-transfer/rtx/onnx/pb"

// types maps the names of element types to those of ONNX.
var types = map[string]pb.TensorProto_DataType{
	"F64": pb.TensorProto_DOUBLE, "F32": pb.TensorProto_FLOAT, "F16": pb.TensorProto_FLOAT16, "BF16": pb.TensorProto_BFLOAT16,
	"I64": pb.TensorProto_INT64, "I32": pb.TensorProto_INT32, "I16": pb.TensorProto_INT16, "I8": pb.TensorProto_INT8,
	"U64": pb.TensorProto_UINT64, "U32": pb.TensorProto_UINT32, "U16": pb.TensorProto_UINT16, "U8": pb.TensorProto_UINT8,
	"BOOL": pb.TensorProto_BOOL, "F8_E4M3": pb.TensorProto_FLOAT8E4M3FN, "F8_E5M2": pb.TensorProto_FLOAT8E5M2,
}

// TypeOf is the ONNX element type of a name in a header, such as "BF16":
// UNDEFINED for a name that the format does not have.
func TypeOf(name string) pb.TensorProto_DataType { return types[name] }

// TypeName is the name of an ONNX element type in a header: "" for a type that
// the format cannot hold, such as COMPLEX64.
func TypeName(t pb.TensorProto_DataType) string {
	for name, is := range types {
		if is == t {
			return name
		}
	}
	return ""
}
