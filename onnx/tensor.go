package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Tensor is a named array whose values stay where they lie until they are
// written: in a checkpoint, in a model's file, or in a rule that makes them.
type Tensor struct {
	Name  string
	DType pb.TensorProto_DataType
	Dims  []int64

	// Write writes the values row-major and little-endian, Size bytes, as often
	// as it is called.
	Write func(io.Writer) error
}

// Elements is the number of values, -1 where Dims cannot be.
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

// Tensors are the model's initializers, in the order of the file.
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

// writeValues writes the values of an initializer, wherever the file has them.
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

// writeNarrow writes values whose typed field is wider than they are.
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
