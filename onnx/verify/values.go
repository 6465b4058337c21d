package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// arrayOf is what is compared of a tensor that onnx-go has made. Values are
// hashed row-major and little-endian, which is how package onnx writes them.
func arrayOf(t tensor.Tensor, hashed bool) (array, error) {
	a := array{dtype: t.Dtype()}
	for _, d := range t.Shape() {
		a.dims = append(a.dims, int64(d))
	}
	if !hashed {
		return a, nil
	}
	w := &hasher{Hash: sha256.New()}
	switch v := t.Data().(type) {
	case float32:
		hashValues(w, []float32{v}, appendFloat32)
	case []float32:
		hashValues(w, v, appendFloat32)
	case float64:
		hashValues(w, []float64{v}, appendFloat64)
	case []float64:
		hashValues(w, v, appendFloat64)
	case int32:
		hashValues(w, []int32{v}, appendInt32)
	case []int32:
		hashValues(w, v, appendInt32)
	case int64:
		hashValues(w, []int64{v}, appendInt64)
	case []int64:
		hashValues(w, v, appendInt64)
	case bool:
		hashValues(w, []bool{v}, appendBool)
	case []bool:
		hashValues(w, v, appendBool)
	default:
		return a, fmt.Errorf("values of type %T", v)
	}
	a.bytes = w.n
	w.Sum(a.sum[:0])
	return a, nil
}

func appendFloat32(b []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
}

func appendFloat64(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendInt32(b []byte, v int32) []byte { return binary.LittleEndian.AppendUint32(b, uint32(v)) }

func appendInt64(b []byte, v int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(v)) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// hashValues hashes values through a small buffer.
func hashValues[T any](w io.Writer, values []T, add func([]byte, T) []byte) {
	buffer := make([]byte, 0, 8*4096)
	for len(values) > 0 {
		n := min(len(values), 4096)
		buffer = buffer[:0]
		for _, v := range values[:n] {
			buffer = add(buffer, v)
		}
		w.Write(buffer) // a hash has no errors
		values = values[n:]
	}
}

// hasher counts what it hashes.
type hasher struct {
	hash.Hash
	n int64
}

func (h *hasher) Write(p []byte) (int, error) {
	h.n += int64(len(p))
	return h.Hash.Write(p)
}

// arrayOfTensor is the same of a tensor of package onnx.
func arrayOfTensor(t onnx.Tensor) (array, error) {
	w := &hasher{Hash: sha256.New()}
	if err := t.Write(w); err != nil {
		return array{}, err
	}
	a := array{name: t.Name, dtype: dtypes[t.DType], dims: t.Dims, bytes: w.n}
	w.Sum(a.sum[:0])
	return a, nil
}

// attributeTensor is an attribute's tensor as package onnx reads it.
func attributeTensor(t *pb.TensorProto) onnx.Tensor {
	return onnx.New(&pb.ModelProto{Graph: &pb.GraphProto{Initializer: []*pb.TensorProto{t}}}).Tensors()[0]
}

// String describes type, dimensions and values.
func (a array) String() string {
	return fmt.Sprintf("%s %d, %d bytes with SHA-256 %x", dtypeName(a.dtype), a.dims, a.bytes, a.sum[:8])
}

// typed describes type and dimensions.
func (a array) typed() string { return fmt.Sprintf("%s %d", dtypeName(a.dtype), a.dims) }

func dtypeName(d tensor.Dtype) string {
	if d.Type == nil {
		return "no type"
	}
	return d.Name()
}

// equal compares all but names.
func (a array) equal(b array) bool { return a.sameType(b) && a.bytes == b.bytes && a.sum == b.sum }

func (a array) sameType(b array) bool { return a.dtype == b.dtype && slices.Equal(a.dims, b.dims) }
