package arch

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// number is how a type's values become the bits of a float32 and come from
// them, little-endian.
type number struct {
	size   int
	widen  func([]byte) uint32
	narrow func([]byte, uint32) []byte // appends
}

// casts has the types of parameters. What fits into a type comes back from
// float32 with the bits it had, a NaN's too, but for float64's.
var casts = map[pb.TensorProto_DataType]*number{
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
		func(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint16(b, brain(v)) }},
	pb.TensorProto_FLOAT16: {2,
		func(b []byte) uint32 { return onnx.FromHalf(binary.LittleEndian.Uint16(b)) },
		func(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint16(b, onnx.Half(v)) }},
}

// brain rounds the bits of a float32 to those of the nearest bfloat16, ties to
// even.
func brain(v uint32) uint16 {
	if v&0x7fffffff > 0x7f800000 { // a NaN stays one
		if v>>16&0x7f == 0 {
			v |= 0x400000
		}
		return uint16(v >> 16)
	}
	return uint16((v + 0x7fff + v>>16&1) >> 16)
}

// cast is the tensor with its values in another type, converted while they are
// written; one of the two is float32.
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

// caster converts values on their way to a writer, in pieces of any size.
type caster struct {
	to     io.Writer
	widen  func([]byte) uint32
	narrow func([]byte, uint32) []byte
	size   int    // bytes of a value
	copied bool   // nothing is to be converted
	left   []byte // the beginning of a value
	out    []byte
	count  int64
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
