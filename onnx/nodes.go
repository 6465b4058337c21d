package onnx

import (
	"encoding/binary"
	"math"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The constructors of the parts of a graph.

// Sized is a dimension of a fixed size.
func Sized(n int) *pb.TensorShapeProto_Dimension {
	return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: int64(n)}}
}

// Named is a dimension of open size.
func Named(name string) *pb.TensorShapeProto_Dimension {
	return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: name}}
}

// NewValue describes a tensor value.
func NewValue(name string, dtype pb.TensorProto_DataType, shape ...*pb.TensorShapeProto_Dimension) *pb.ValueInfoProto {
	return &pb.ValueInfoProto{Name: name, Type: tensorType(dtype, shape)}
}

// tensorType is the type of tensors of a shape; nil is an unknown one.
func tensorType(dtype pb.TensorProto_DataType, shape []*pb.TensorShapeProto_Dimension) *pb.TypeProto {
	t := &pb.TypeProto_Tensor{ElemType: int32(dtype)}
	if shape != nil {
		t.Shape = &pb.TensorShapeProto{Dim: shape}
	}
	return &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: t}}
}

// NewNode is a node of the standard domain with one output, which gives it its
// name.
func NewNode(op, output string, inputs []string, attributes ...*pb.AttributeProto) *pb.NodeProto {
	return &pb.NodeProto{OpType: op, Name: output, Input: inputs, Output: []string{output}, Attribute: attributes}
}

// Ints is an attribute that holds a list of integers.
func Ints(name string, v ...int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_INTS, Ints: v}
}

// Int is an attribute that holds an integer.
func Int(name string, v int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_INT, I: v}
}

// String is an attribute that holds a string.
func String(name, v string) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_STRING, S: []byte(v)}
}

// Float is an attribute that holds a float32.
func Float(name string, v float32) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_FLOAT, F: v}
}

// NewFloats is a small float32 initializer.
func NewFloats(name string, dims []int64, v ...float64) *pb.TensorProto {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
	}
	return &pb.TensorProto{Name: name, Dims: dims, DataType: int32(pb.TensorProto_FLOAT), RawData: raw}
}

// NewInts is a small int64 initializer of one dimension.
func NewInts(name string, v ...int64) *pb.TensorProto {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
	}
	return &pb.TensorProto{Name: name, Dims: []int64{int64(len(v))}, DataType: int32(pb.TensorProto_INT64), RawData: raw}
}
