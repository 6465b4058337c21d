package onnx

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// value is what a float16 stands for.
func value(h uint16) float64 {
	e, m := int(h>>10&31), float64(h&1023)
	if e == 0 {
		return math.Ldexp(m, -24)
	}
	return math.Ldexp(1024+m, e-25)
}

// TestHalf rounds every float16, what lies between two of them, and the
// neighbours of that.
func TestHalf(t *testing.T) {
	check := func(x float64, want uint16) {
		t.Helper()
		f := float32(x)
		for sign, bits := range map[uint16]uint32{0: math.Float32bits(f), 0x8000: math.Float32bits(-f)} {
			if got := Half(bits); got != want|sign {
				t.Fatalf("%g becomes %#04x, want %#04x", x, got, want|sign)
			}
		}
	}
	for h := range uint16(0x7bff) {
		low, high := value(h), value(h+1)
		mid := (low + high) / 2
		check(low, h)
		check(mid, h+h&1)
		check(float64(math.Nextafter32(float32(mid), 0)), h)
		check(float64(math.Nextafter32(float32(mid), 1e9)), h+1)
	}
	for _, x := range []float64{65504, 65519, 65520, 1e5, math.MaxFloat32} {
		check(x, 0x7bff)
	}
	check(math.Inf(1), 0x7c00)
	if Half(0x7fc00001)&0x7fff != 0x7e00 || Half(0x7f800001)&0x7fff != 0x7c01 {
		t.Error("NaN became a number")
	}
	for h := range 1 << 16 {
		if bits := FromHalf(uint16(h)); Half(bits) != uint16(h) || h&0x7c00 != 0x7c00 && math.Abs(float64(math.Float32frombits(bits))) != value(uint16(h)&0x7fff) {
			t.Fatalf("%#04x becomes %#x", h, bits)
		}
	}
}

// TestFloats reads a tensor in pieces of any size, as it lies in a file, in the
// message's bytes or in its numbers.
func TestFloats(t *testing.T) {
	const n = 10000
	var raw []byte
	var numbers []float32
	for i := range n {
		numbers = append(numbers, float32(i)-0.5)
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(numbers[i]))
	}
	for _, piece := range []int{1, 3, 4, 7, 1000, 4 * n} {
		next := uint32(0)
		w := &bitsWriter{each: func(bits []uint32) error {
			for _, b := range bits {
				if b != math.Float32bits(float32(next)-0.5) {
					t.Fatalf("pieces of %d: element %d is %g", piece, next, math.Float32frombits(b))
				}
				next++
			}
			return nil
		}}
		for b := raw; len(b) > 0; b = b[min(piece, len(b)):] {
			if k, err := w.Write(b[:min(piece, len(b))]); err != nil || k != min(piece, len(b)) {
				t.Fatal(k, err)
			}
		}
		if w.count != n || w.left != 0 {
			t.Errorf("pieces of %d: %d elements and %d bytes", piece, w.count, w.left)
		}
	}
	m := New(&pb.ModelProto{})
	for _, tensor := range []*pb.TensorProto{{RawData: raw, Dims: []int64{n}}, {FloatData: numbers, Dims: []int64{n}}} {
		if largest, err := m.largestMagnitude(tensor); err != nil || largest != n-1.5 {
			t.Error(largest, err)
		}
		h, err := m.halfTensor(tensor, m, "h")
		if err != nil || len(h.RawData) != 2*n || !bytes.Equal(h.RawData[:4], []byte{0, 0xb8, 0, 0x38}) {
			t.Errorf("%d bytes, %x, %v", len(h.RawData), h.RawData[:4], err)
		}
	}
	if _, err := m.largestMagnitude(&pb.TensorProto{RawData: raw, Dims: []int64{n + 1}}); err == nil {
		t.Error("a tensor that is too short was read")
	}
}
