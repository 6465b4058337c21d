package torch

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// numpyTypes are the element types by numpy's codes.
var numpyTypes = map[string]pb.TensorProto_DataType{
	"f8": pb.TensorProto_DOUBLE, "f4": pb.TensorProto_FLOAT, "f2": pb.TensorProto_FLOAT16, "i8": pb.TensorProto_INT64,
	"i4": pb.TensorProto_INT32, "i2": pb.TensorProto_INT16, "i1": pb.TensorProto_INT8, "u8": pb.TensorProto_UINT64,
	"u4": pb.TensorProto_UINT32, "u2": pb.TensorProto_UINT16, "u1": pb.TensorProto_UINT8, "b1": pb.TensorProto_BOOL,
	"c8": pb.TensorProto_COMPLEX64, "c16": pb.TensorProto_COMPLEX128,
}

// numpyType keeps numpy.dtype as it is; its byte order comes as state.
func numpyType(_ *machine, args []any) (any, error) {
	return &Object{Class: "numpy.dtype", Args: args}, nil
}

// elementType is the type that a numpy.dtype stands for: 0 if it is not one of
// numpyTypes, or big-endian.
func elementType(v any) pb.TensorProto_DataType {
	o, ok := v.(*Object)
	if !ok || o.Class != "numpy.dtype" || len(o.Args) == 0 {
		return 0
	}
	if state, ok := o.State.(*Tuple); ok && len(state.Items) > 1 && state.Items[1] == ">" {
		return 0
	}
	code, _ := o.Args[0].(string)
	return numpyTypes[strings.TrimLeft(code, "<|=")]
}

// raw returns v as bytes. Python 2 wrote bytes as strings.
func raw(v any) (Bytes, bool) {
	if s, ok := v.(string); ok {
		return Bytes(s), true
	}
	b, ok := v.(Bytes)
	return b, ok
}

// scalar makes a numpy scalar of its dtype and bytes. One whose type is not
// known stays an Object.
func scalar(_ *machine, args []any) (any, error) {
	if len(args) != 2 {
		return nil, errArgs
	}
	dtype := elementType(args[0])
	b, ok := raw(args[1])
	if v := number(dtype, string(b)); ok && v != nil {
		return v, nil
	}
	return &Object{Class: "numpy.core.multiarray.scalar", Args: args}, nil
}

// number decodes one little-endian value: nil if b is not a value of the type.
func number(dtype pb.TensorProto_DataType, b string) any {
	if int64(len(b)) != itemSizes[dtype] || b == "" || len(b) > 8 {
		return nil
	}
	var wide [8]byte
	copy(wide[:], b)
	u := binary.LittleEndian.Uint64(wide[:])
	switch dtype {
	case pb.TensorProto_BOOL:
		return u != 0
	case pb.TensorProto_DOUBLE:
		return math.Float64frombits(u)
	case pb.TensorProto_FLOAT:
		return float64(math.Float32frombits(uint32(u)))
	case pb.TensorProto_BFLOAT16:
		return float64(math.Float32frombits(uint32(u) << 16))
	case pb.TensorProto_FLOAT16:
		return float64(math.Float32frombits(onnx.FromHalf(uint16(u))))
	case pb.TensorProto_INT64, pb.TensorProto_UINT8, pb.TensorProto_UINT16, pb.TensorProto_UINT32:
		return int64(u)
	case pb.TensorProto_INT32:
		return int64(int32(u))
	case pb.TensorProto_INT16:
		return int64(int16(u))
	case pb.TensorProto_INT8:
		return int64(int8(u))
	case pb.TensorProto_UINT64:
		if int64(u) >= 0 {
			return int64(u)
		}
	}
	return nil
}

// blank makes an ndarray without its state, which follows. It stays blank if the
// state's type is not known.
func blank(*machine, []any) (any, error) {
	return &Tensor{blank: true}, nil
}

// fill sets the state of an ndarray: version, shape, dtype, whether the values
// are in Fortran order, bytes.
func (t *Tensor) fill(state any) error {
	s, ok := state.(*Tuple)
	if !ok || len(s.Items) != 5 {
		return fmt.Errorf("numpy.ndarray: its state is not as expected")
	}
	full, err := array(s.Items[1], s.Items[2], s.Items[4], s.Items[3] == true)
	if err == nil && full != nil {
		*t = *full
	}
	return err
}

// fromBuffer makes an ndarray of protocol 5: bytes, dtype, shape, order.
func fromBuffer(_ *machine, args []any) (any, error) {
	if len(args) != 4 {
		return nil, errArgs
	}
	t, err := array(args[2], args[1], args[0], args[3] == "F")
	if err != nil || t != nil {
		return t, err
	}
	return &Object{Class: "numpy.ndarray", Args: args}, nil
}

// array makes a tensor whose values are in the pickle: nil if its element type,
// such as a string, is not known.
func array(shape, dtype, data any, fortran bool) (*Tensor, error) {
	dims, err := integers(shape)
	b, ok := raw(data)
	kind := elementType(dtype)
	if kind == 0 {
		return nil, nil
	}
	item := itemSizes[kind]
	if err != nil || !ok {
		return nil, fmt.Errorf("numpy.ndarray: %w", errArgs)
	}
	strides := rowMajor(dims)
	if fortran {
		step := int64(1)
		for i, d := range dims {
			strides[i], step = step, step*max(d, 1)
		}
	}
	if _, n, err := extent(0, dims, rowMajor(dims)); err != nil || n*item != int64(len(b)) {
		return nil, fmt.Errorf("numpy.ndarray: shape %v in %d bytes", dims, len(b))
	}
	return &Tensor{DType: kind, Dims: dims, strides: strides, blob: memory(string(b))}, nil
}
