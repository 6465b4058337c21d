package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Tensor is a named array. Its values are not in memory: they stay in a checkpoint
// or a model's file, or are computed, until they are written.
type Tensor struct {
	Name  string
	DType pb.TensorProto_DataType
	Dims  []int64

	// Write writes the values row-major and little-endian, Size bytes. It may be
	// called more than once.
	Write func(io.Writer) error
}

// Elements is the number of values, -1 where Dims are not those of a tensor.
func (t Tensor) Elements() int64 { return elements(t.Dims) }

// Size is the number of bytes of the values.
func (t Tensor) Size() int64 { return (t.Elements()*elementBits[t.DType] + 7) / 8 }

// Bytes returns what Write writes.
func (t Tensor) Bytes() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(t.Size()))
	err := t.Write(&b)
	return b.Bytes(), err
}

// Tensors lists the model's initializers in the order of the file.
func (m *Model) Tensors() []Tensor {
	out := make([]Tensor, 0, len(m.Proto.Graph.Initializer))
	for _, t := range m.Proto.Graph.Initializer {
		out = append(out, Tensor{
			Name: t.Name, DType: pb.TensorProto_DataType(t.DataType), Dims: t.Dims,
			Write: func(w io.Writer) error { return m.writeValues(w, t) },
		})
	}
	return out
}

// writeValues writes the values of an initializer, whichever field of the message
// holds them.
func (m *Model) writeValues(w io.Writer, t *pb.TensorProto) error {
	var err error
	switch p, lazy := m.payloads[t]; {
	case lazy:
		err = p.to(w)
	case len(t.FloatData) > 0:
		err = binary.Write(w, binary.LittleEndian, t.FloatData)
	case len(t.Int64Data) > 0:
		err = binary.Write(w, binary.LittleEndian, t.Int64Data)
	case len(t.DoubleData) > 0:
		err = binary.Write(w, binary.LittleEndian, t.DoubleData)
	case len(t.Uint64Data) > 0 && t.DataType == int32(pb.TensorProto_UINT64):
		err = binary.Write(w, binary.LittleEndian, t.Uint64Data)
	case len(t.Int32Data) > 0 || len(t.Uint64Data) > 0:
		err = writeNarrow(w, t)
	default:
		_, err = w.Write(t.RawData)
	}
	if err != nil {
		return fmt.Errorf("onnx: initializer %q: %w", t.Name, err)
	}
	return nil
}

// writeNarrow writes values that the message holds in a field of a wider type.
func writeNarrow(w io.Writer, t *pb.TensorProto) error {
	n := int(elementBits[pb.TensorProto_DataType(t.DataType)] / 8)
	if n == 0 {
		return fmt.Errorf("element type %d is packed: %w", t.DataType, ErrFormat)
	}
	var out []byte
	for _, v := range t.Int32Data {
		out = append(out, binary.LittleEndian.AppendUint32(nil, uint32(v))[:min(n, 4)]...)
	}
	for _, v := range t.Uint64Data {
		out = append(out, binary.LittleEndian.AppendUint64(nil, v)[:n]...)
	}
	_, err := w.Write(out)
	return err
}

// elements is the product of dims, -1 where a dimension is negative or the product
// is larger than any tensor.
func elements(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		if d < 0 || d > 0 && n > (1<<40)/d {
			return -1
		}
		n *= d
	}
	return n
}

// elementBits is the size of an element in raw data, 0 for types that are not
// stored there.
var elementBits = map[pb.TensorProto_DataType]int64{
	pb.TensorProto_FLOAT: 32, pb.TensorProto_UINT8: 8, pb.TensorProto_INT8: 8, pb.TensorProto_UINT16: 16,
	pb.TensorProto_INT16: 16, pb.TensorProto_INT32: 32, pb.TensorProto_INT64: 64, pb.TensorProto_BOOL: 8,
	pb.TensorProto_FLOAT16: 16, pb.TensorProto_DOUBLE: 64, pb.TensorProto_UINT32: 32, pb.TensorProto_UINT64: 64,
	pb.TensorProto_COMPLEX64: 64, pb.TensorProto_COMPLEX128: 128, pb.TensorProto_BFLOAT16: 16,
	pb.TensorProto_FLOAT8E4M3FN: 8, pb.TensorProto_FLOAT8E4M3FNUZ: 8, pb.TensorProto_FLOAT8E5M2: 8,
	pb.TensorProto_FLOAT8E5M2FNUZ: 8, pb.TensorProto_UINT4: 4, pb.TensorProto_INT4: 4, pb.TensorProto_FLOAT4E2M1: 4,
}
