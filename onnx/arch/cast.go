package arch

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// conversion converts the little-endian values of an element type to the bits of
// a float32 and back.
type conversion struct {
	size   int // of a value in bytes
	widen  func([]byte) uint32
	narrow func([]byte, uint32) []byte // appends to its argument
}

// casts are the element types that parameters may have. A value of any of them
// but float64 comes back from float32 with the same bits, also if it is a NaN.
var casts = map[pb.TensorProto_DataType]*conversion{
	pb.TensorProto_FLOAT: {4, binary.LittleEndian.Uint32, binary.LittleEndian.AppendUint32},
	pb.TensorProto_DOUBLE: {8,
		func(b []byte) uint32 {
			return math.Float32bits(float32(math.Float64frombits(binary.LittleEndian.Uint64(b))))
		},
		func(b []byte, v uint32) []byte {
			return binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(math.Float32frombits(v))))
		}},
	pb.TensorProto_BFLOAT16: {2,
		func(b []byte) uint32 { return uint32(binary.LittleEndian.Uint16(b)) << 16 },
		func(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint16(b, bfloat16(v)) }},
	pb.TensorProto_FLOAT16: {2,
		func(b []byte) uint32 { return onnx.FromHalf(binary.LittleEndian.Uint16(b)) },
		func(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint16(b, onnx.Half(v)) }},
}

// bfloat16 rounds the bits of a float32 to those of the nearest bfloat16, ties to
// even.
func bfloat16(v uint32) uint16 {
	if v&0x7fffffff > 0x7f800000 { // a NaN stays a NaN
		if v>>16&0x7f == 0 {
			v |= 0x400000
		}
		return uint16(v >> 16)
	}
	return uint16((v + 0x7fff + v>>16&1) >> 16)
}

// cast returns the tensor with its values in another type, of which they are
// converted as they are written. One of the two types is float32.
func cast(t onnx.Tensor, to pb.TensorProto_DataType) onnx.Tensor {
	c, from := t, t.DType
	c.DType = to
	c.Write = func(w io.Writer) error {
		p := &caster{to: w, widen: casts[from].widen, narrow: casts[to].narrow, size: casts[from].size, copied: from == to}
		if err := t.Write(p); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if p.count != t.Size() {
			return fmt.Errorf("tensor %q has %d bytes, expected %d", t.Name, p.count, t.Size())
		}
		return nil
	}
	return c
}

// caster is a writer that converts values and passes them on. A value may arrive
// in pieces.
type caster struct {
	to     io.Writer
	widen  func([]byte) uint32
	narrow func([]byte, uint32) []byte
	size   int    // of an incoming value in bytes
	copied bool   // the types are the same
	left   []byte // the beginning of an incomplete value
	out    []byte // converted values, not yet passed on
	count  int64  // incoming bytes
}

func (c *caster) Write(b []byte) (int, error) {
	c.count += int64(len(b))
	if c.copied {
		return c.to.Write(b)
	}
	n := len(b)
	for len(c.left) > 0 && len(c.left) < c.size && len(b) > 0 {
		c.left, b = append(c.left, b[0]), b[1:]
	}
	c.out = c.out[:0]
	if len(c.left) == c.size {
		c.out, c.left = c.narrow(c.out, c.widen(c.left)), c.left[:0]
	}
	for ; len(b) >= c.size; b = b[c.size:] {
		if c.out = c.narrow(c.out, c.widen(b)); len(c.out) >= 1<<16 {
			if _, err := c.to.Write(c.out); err != nil {
				return 0, err
			}
			c.out = c.out[:0]
		}
	}
	c.left = append(c.left, b...)
	if _, err := c.to.Write(c.out); err != nil {
		return 0, err
	}
	return n, nil
}
