package onnx

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The largest finite float16, and the smallest with full precision.
const (
	maxHalf = 65504
	minHalf = 1.0 / (1 << 14)
)

// FromHalf returns the bits of a float16's value as a float32. Half undoes it, for
// all bits.
func FromHalf(h uint16) uint32 {
	sign, x := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case x >= 0x7c00:
		return sign | 0x7f800000 | x<<13
	case x < 0x400: // steps of 2^-24
		return sign | math.Float32bits(float32(x)/(1<<24))
	}
	return sign | x<<13 + 0x38000000
}

// Half rounds a float32, given by its bits, to the nearest float16, ties to even.
// Finite values beyond the range become the largest finite float16.
func Half(bits uint32) uint16 {
	sign, x := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case x > 0x7f800000:
		return sign | 0x7c00 | max(1, uint16(x>>13&0x3ff))
	case x == 0x7f800000:
		return sign | 0x7c00
	case x >= 0x477ff000: // 65520 and more
		return sign | 0x7bff
	case x < 0x38800000: // below 2^-14 float16 has steps of 2^-24, as float32 has above 0.5
		return sign | uint16(math.Float32bits(math.Float32frombits(x)+0.5)-math.Float32bits(0.5))
	}
	x += 0xfff + x>>13&1
	return sign | uint16((x-0x38000000)>>13)
}

// largestMagnitude is that of the finite values of a float32 tensor.
func (m *Model) largestMagnitude(t *pb.TensorProto) (float32, error) {
	top := uint32(0)
	err := m.eachFloat(t, func(bits []uint32) error {
		for _, b := range bits {
			if b &= 0x7fffffff; b < 0x7f800000 {
				top = max(top, b)
			}
		}
		return nil
	})
	return math.Float32frombits(top), err
}

// halfTensor makes the float16 form of a float32 tensor of m for the model c. A
// large one is converted each time its bytes are needed.
func (m *Model) halfTensor(t *pb.TensorProto, c *Model, name string) (*pb.TensorProto, error) {
	h := &pb.TensorProto{Name: name, Dims: t.Dims, DataType: int32(pb.TensorProto_FLOAT16), DocString: t.DocString}
	write := func(w io.Writer) error {
		out := make([]byte, 0, 2*len(bitsWriter{}.bits))
		return m.eachFloat(t, func(bits []uint32) error {
			out = out[:0]
			for _, b := range bits {
				out = binary.LittleEndian.AppendUint16(out, Half(b))
			}
			_, err := w.Write(out)
			return err
		})
	}
	if p, lazy := m.payloads[t]; lazy {
		c.payloads[h] = payload{size: p.size / 2, write: write}
		return h, nil
	}
	var small appender
	err := write(&small)
	h.RawData = small
	return h, err
}

type appender []byte

func (a *appender) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}
