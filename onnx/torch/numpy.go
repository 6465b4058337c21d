package torch

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

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

// elementType is the type that a numpy.dtype stands for, 0 where it is none of
// ours or big-endian.
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

// raw is a value of bytes; Python 2 wrote them as strings.
func raw(v any) (Bytes, bool) {
	if s, ok := v.(string); ok {
		return Bytes(s), true
	}
	b, ok := v.(Bytes)
	return b, ok
}

// scalar is a number of numpy: its dtype and bytes. One of another type stays
// an Object.
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

// number decodes one little-endian value, nil where b is none of the type.
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
		return half(uint16(u))
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

// half is the value of an IEEE 754 binary16.
func half(u uint16) float64 {
	sign := 1 - 2*float64(u>>15)
	exponent, fraction := int(u>>10&31), float64(u&0x3ff)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// blank is an ndarray before its state comes. It stays so where the state is of
// no type of ours.
func blank(*machine, []any) (any, error) {
	return &Tensor{blank: true}, nil
}

// fill gives an ndarray its state: version, shape, dtype, whether it is in
// Fortran's order, bytes.
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

// fromBuffer is an ndarray of protocol 5: bytes, dtype, shape, order.
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

// array makes a tensor whose values are in the pickle; nil where its type is
// none of ours, as that of strings.
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
