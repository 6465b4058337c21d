package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The largest finite float16, and the smallest with full precision.
const (
	maxHalf = 65504
	minHalf = 1.0 / (1 << 14)
)

// FromHalf widens the bits of a float16 to those of a float32. Half gives them
// back, whatever they are.
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

// Half rounds the bits of a float32 to those of the nearest float16, ties to
// even. What is finite stays finite.
func Half(bits uint32) uint16 {
	sign, x := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case x > 0x7f800000:
		return sign | 0x7c00 | max(1, uint16(x>>13&0x3ff))
	case x == 0x7f800000:
		return sign | 0x7c00
	case x >= 0x477ff000: // 65520 and more
		return sign | 0x7bff
	case x < 0x38800000: // below 2^-14 the steps are 2^-24, those of float32 above 0.5
		return sign | uint16(math.Float32bits(math.Float32frombits(x)+0.5)-math.Float32bits(0.5))
	}
	x += 0xfff + x>>13&1
	return sign | uint16((x-0x38000000)>>13)
}

// floats calls each with the bits of the elements of a float32 tensor, a few
// thousand at a time.
func (m *Model) floats(t *pb.TensorProto, each func([]uint32) error) error {
	w := &bitsWriter{each: each}
	var err error
	switch p, lazy := m.payloads[t]; {
	case lazy:
		err = p.to(w)
	case len(t.RawData) > 0 || len(t.FloatData) == 0:
		_, err = w.Write(t.RawData)
	default:
		bits := make([]uint32, len(t.FloatData))
		for i, f := range t.FloatData {
			bits[i] = math.Float32bits(f)
		}
		err, w.count = each(bits), len(bits)
	}
	if n := elements(t.Dims); err == nil && (int64(w.count) != n || w.left != 0) {
		err = fmt.Errorf("%d elements, expected %d of %v: %w", w.count, n, t.Dims, ErrFormat)
	}
	if err != nil {
		return fmt.Errorf("onnx: initializer %q: %w", t.Name, err)
	}
	return nil
}

// bitsWriter takes the bytes of float32 values in pieces of any size.
type bitsWriter struct {
	each  func([]uint32) error
	bits  [4096]uint32
	part  [4]byte
	left  int // bytes in part
	count int // values so far
}

func (w *bitsWriter) Write(b []byte) (int, error) {
	n, size := 0, len(b)
	if w.left > 0 {
		k := copy(w.part[w.left:], b)
		w.left, b = w.left+k, b[k:]
		if w.left < 4 {
			return size, nil
		}
		w.bits[0], w.left, n = binary.LittleEndian.Uint32(w.part[:]), 0, 1
	}
	for len(b) >= 4 {
		for ; len(b) >= 4 && n < len(w.bits); n++ {
			w.bits[n], b = binary.LittleEndian.Uint32(b), b[4:]
		}
		if err := w.each(w.bits[:n]); err != nil {
			return 0, err
		}
		w.count, n = w.count+n, 0
	}
	if n > 0 {
		if err := w.each(w.bits[:n]); err != nil {
			return 0, err
		}
		w.count += n
	}
	w.left = copy(w.part[:], b)
	return size, nil
}

// magnitudes finds the largest finite magnitude of a float32 tensor.
func (m *Model) magnitudes(t *pb.TensorProto) (largest float32, err error) {
	top := uint32(0)
	err = m.floats(t, func(bits []uint32) error {
		for _, b := range bits {
			if b &= 0x7fffffff; b < 0x7f800000 {
				top = max(top, b)
			}
		}
		return nil
	})
	return math.Float32frombits(top), err
}

// halved makes the float16 form of a float32 tensor of m for the model c. Large
// ones are converted when their bytes are needed.
func (m *Model) halved(t *pb.TensorProto, c *Model, name string) (*pb.TensorProto, error) {
	h := &pb.TensorProto{Name: name, Dims: t.Dims, DataType: int32(pb.TensorProto_FLOAT16), DocString: t.DocString}
	write := func(w io.Writer) error {
		out := make([]byte, 0, 2*len(bitsWriter{}.bits))
		return m.floats(t, func(bits []uint32) error {
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
