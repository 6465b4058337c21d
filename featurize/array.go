package featurize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"unsafe"

	"github.com/robust-transfer/rtx/onnx"
)

// ErrFormat is wrapped by every error about a file of a feature set that is damaged
// or of another format.
var ErrFormat = errors.New("not a good feature set")

// dtype is the type of the numbers of an array.
type dtype struct {
	kind byte // f, i or u, as in numpy, or b for bfloat16
	size int  // of a number in bytes
	big  bool // big-endian
}

// array is a row-major array of numbers in a file.
type array struct {
	r     io.ReaderAt
	at    int64 // offset of the first number
	dtype dtype
	shape []int
	raw   []byte // a buffer for numbers to be converted
}

var float32LE = dtype{kind: 'f', size: 4}

// newArray checks that the size bytes beginning at at are enough for the shape. There
// may be more.
func newArray(r io.ReaderAt, at, size int64, t dtype, shape []int) (*array, error) {
	want, fits := uint64(t.size), true
	for _, d := range shape {
		hi, lo := bits.Mul64(want, uint64(d))
		fits = fits && d >= 0 && hi == 0
		want = lo
	}
	if len(shape) == 0 || !fits || want > math.MaxInt64 || int64(want) > size {
		return nil, fmt.Errorf("an array of shape %v in %d bytes: %w", shape, size, ErrFormat)
	}
	// Rows without numbers take no bytes, so nothing bounds how many there are.
	if rowsWithoutEnd := want == 0 && shape[0] > 0; rowsWithoutEnd {
		return nil, fmt.Errorf("an array of shape %v, expected rows of at least one number: %w", shape, ErrFormat)
	}
	return &array{r: r, at: at, dtype: t, shape: shape}, nil
}

// rowSize is the number of numbers in a row.
func (a *array) rowSize() int { return product(a.shape[1:]) }

// readBytes reads rows as they are in the file, without conversion.
func (a *array) readBytes(dst []byte, first int) error {
	_, err := a.r.ReadAt(dst, a.at+int64(first)*int64(a.rowSize()*a.dtype.size))
	if err == io.EOF {
		err = nil // the last row may end with the file
	}
	return err
}

// readRows fills dst with whole rows, as float32.
func (a *array) readRows(dst []float32, first int) error {
	if a.dtype == float32LE {
		return a.readBytes(bytesOf(dst), first)
	}
	n := len(dst) * a.dtype.size
	if cap(a.raw) < n {
		a.raw = make([]byte, n)
	}
	if err := a.readBytes(a.raw[:n], first); err != nil {
		return err
	}
	for i := range dst {
		dst[i] = float32(a.dtype.value(a.raw[i*a.dtype.size:]))
	}
	return nil
}

// ints reads all of a one-dimensional array of integers.
func (a *array) ints() ([]int64, error) {
	if len(a.shape) != 1 || a.dtype.kind != 'i' && a.dtype.kind != 'u' {
		return nil, fmt.Errorf("labels of shape %v, kind %q, expected integers [N]: %w", a.shape, a.dtype.kind, ErrFormat)
	}
	raw := make([]byte, a.shape[0]*a.dtype.size)
	if err := a.readBytes(raw, 0); err != nil {
		return nil, err
	}
	out := make([]int64, a.shape[0])
	for i := range out {
		out[i] = a.dtype.integer(raw[i*a.dtype.size:])
	}
	return out, nil
}

func (t dtype) order() binary.ByteOrder {
	if t.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// bits returns the bits of a number.
func (t dtype) bits(b []byte) uint64 {
	switch t.size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(t.order().Uint16(b))
	case 4:
		return uint64(t.order().Uint32(b))
	}
	return t.order().Uint64(b)
}

// integer returns the value of an integer; the type is i or u.
func (t dtype) integer(b []byte) int64 {
	v := t.bits(b)
	if t.kind == 'i' {
		shift := 64 - 8*t.size
		return int64(v<<shift) >> shift
	}
	return int64(v)
}

// value returns the value of a number of any type.
func (t dtype) value(b []byte) float64 {
	switch {
	case t.kind == 'i':
		return float64(t.integer(b))
	case t.kind == 'u':
		return float64(t.bits(b))
	case t.kind == 'b':
		return float64(math.Float32frombits(uint32(t.bits(b)) << 16))
	case t.size == 2:
		return float64(math.Float32frombits(onnx.FromHalf(uint16(t.bits(b)))))
	case t.size == 4:
		return float64(math.Float32frombits(uint32(t.bits(b))))
	}
	return math.Float64frombits(t.bits(b))
}

// product multiplies the dimensions of a shape.
func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// bytesOf views numbers as their bytes, which are those of the file: every platform
// that rtx supports is little-endian.
func bytesOf[T float32 | int64](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

// floatsOf views bytes as the numbers that they are.
func floatsOf(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
