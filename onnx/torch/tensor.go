package torch

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Tensor is an array whose values stay in the file until Write or Floats.
type Tensor struct {
	// DType is the element type. It is UNDEFINED, and the tensor has no values,
	// for an ndarray of strings or other objects, or of big-endian numbers.
	DType pb.TensorProto_DataType
	Dims  []int64

	strides []int64 // in values
	offset  int64   // of the first value in the blob, in values
	blob    *blob
	blank   bool // an ndarray whose state has not been read yet
}

// Named returns the tensor under a name, as onnx/arch and other packages take
// it. Its values are read from the file when it is written.
func (t *Tensor) Named(name string) onnx.Tensor {
	return onnx.Tensor{Name: name, DType: t.DType, Dims: t.Dims, Write: t.Write}
}

// Size is the size of the values in bytes.
func (t *Tensor) Size() int64 {
	n := itemSizes[t.DType]
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// Write writes the values, row-major and little-endian. When it returns an
// error, such as a wrong checksum, some values may have been written.
func (t *Tensor) Write(w io.Writer) error {
	size, item := t.Size(), itemSizes[t.DType]
	if size == 0 {
		return nil
	}
	if t.contiguous() {
		return t.blob.copy(w, t.offset*item, size)
	}
	data, err := t.blob.load(size)
	if err != nil {
		return err
	}
	return t.gather(w, data)
}

// contiguous reports whether the values lie in order and without gaps.
func (t *Tensor) contiguous() bool {
	step := int64(1)
	for i := len(t.Dims) - 1; i >= 0; i-- {
		if t.Dims[i] != 1 && t.strides[i] != step {
			return false
		}
		step *= t.Dims[i]
	}
	return true
}

// rowMajor returns the strides of values that lie in order and without gaps.
func rowMajor(dims []int64) []int64 {
	strides, step := make([]int64, len(dims)), int64(1)
	for i := len(dims) - 1; i >= 0; i-- {
		strides[i] = step
		step *= max(dims[i], 1)
	}
	return strides
}

// gather writes the values of a strided tensor, of which data is the storage.
func (t *Tensor) gather(w io.Writer, data []byte) error {
	item := itemSizes[t.DType]
	inner := len(t.Dims) - 1
	step := t.strides[inner] * item
	index := make([]int64, inner)
	out := make([]byte, 0, min(1<<16, t.Size()))
	at := t.offset * item
	for {
		p := at
		for range t.Dims[inner] {
			if len(out)+int(item) > cap(out) {
				if _, err := w.Write(out); err != nil {
					return err
				}
				out = out[:0]
			}
			out = append(out, data[p:p+item]...)
			p += step
		}
		d := inner - 1
		for ; d >= 0; d-- {
			index[d]++
			at += t.strides[d] * item
			if index[d] < t.Dims[d] {
				break
			}
			at -= index[d] * t.strides[d] * item
			index[d] = 0
		}
		if d < 0 {
			_, err := w.Write(out)
			return err
		}
	}
}

// maxFloats is the most values that Floats reads.
const maxFloats = 1024

// Floats returns the values of a small tensor, row-major. It is for means,
// counters and the like: more than 1024 values, or values that are not real
// numbers, are an error.
func (t *Tensor) Floats() ([]float64, error) {
	item := itemSizes[t.DType]
	if t.Size() > maxFloats*item {
		return nil, fmt.Errorf("torch: a tensor of size %v has more than %d values", t.Dims, maxFloats)
	}
	var b bytes.Buffer
	if err := t.Write(&b); err != nil {
		return nil, err
	}
	out := make([]float64, 0, maxFloats)
	for v := b.String(); v != ""; v = v[item:] {
		switch x := number(t.DType, v[:item]).(type) {
		case float64:
			out = append(out, x)
		case int64:
			out = append(out, float64(x))
		case bool:
			out = append(out, map[bool]float64{true: 1}[x])
		default:
			return nil, fmt.Errorf("torch: values of type %s are no real numbers", t.DType)
		}
	}
	return out, nil
}

// sameView reports whether two tensors are the same view of the same storage.
func (t *Tensor) sameView(u *Tensor) bool {
	return t.blob == u.blob && t.offset == u.offset && t.DType == u.DType && fmt.Sprint(t.Dims, t.strides) == fmt.Sprint(u.Dims, u.strides)
}

// equal compares type, size and values of two tensors, a chunk at a time.
func (t *Tensor) equal(u *Tensor) (bool, error) {
	if t.DType != u.DType || fmt.Sprint(t.Dims) != fmt.Sprint(u.Dims) {
		return false, nil
	}
	if t.sameView(u) {
		return true, nil
	}
	a, err := t.open()
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := u.open()
	if err != nil {
		return false, err
	}
	defer b.Close()
	return sameBytes(a, b, min(t.Size()+1, chunk))
}

// cost estimates how many bytes of the file must be read for the values. Those
// of a compressed storage count an eighth each, because the file holds fewer.
func (t *Tensor) cost() int64 {
	n := t.Size()
	if n == 0 {
		return 0
	}
	packed := t.blob.entry != nil && t.blob.entry.Method != zip.Store
	if packed || !t.contiguous() {
		n = max(n, t.blob.size)
	}
	if packed {
		n /= 8
	}
	return n
}

// open returns a reader of what Write writes.
func (t *Tensor) open() (io.ReadCloser, error) {
	if item := itemSizes[t.DType]; t.contiguous() && t.Size() > 0 {
		return t.blob.open(t.offset*item, t.Size())
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(t.Write(w)) }()
	return r, nil
}

// sameBytes reports whether two readers hold the same bytes. It stops at the
// first chunk that differs.
func sameBytes(a, b io.Reader, buffer int64) (bool, error) {
	p, q := make([]byte, buffer), make([]byte, buffer)
	for {
		n, err := io.ReadFull(a, p)
		m, err2 := io.ReadFull(b, q)
		for _, e := range []error{err, err2} {
			if e != nil && e != io.EOF && e != io.ErrUnexpectedEOF {
				return false, e
			}
		}
		if !bytes.Equal(p[:n], q[:m]) {
			return false, nil
		}
		if err != nil {
			return true, nil
		}
	}
}
