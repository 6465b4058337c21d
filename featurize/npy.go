package featurize

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// npyHeader is the length of every header that is written. It has room for any shape,
// and is the same for all, so that the header can be written last.
const npyHeader = 128

// putNPYHeader fills in a header of the .npy format, version 1.0 (numpy's lib/format):
// magic, version, length, and a Python literal padded with spaces.
func putNPYHeader(dst *[npyHeader]byte, dtype string, shape []int) {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = strconv.Itoa(d)
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	for i := range dst {
		dst[i] = ' '
	}
	copy(dst[:], npyMagic+"\x01\x00")
	binary.LittleEndian.PutUint16(dst[8:], npyHeader-10)
	copy(dst[10:], fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", dtype, tuple))
	dst[npyHeader-1] = '\n'
}

const npyMagic = "\x93NUMPY"

// maxNPYHeader is the longest header that is read, in bytes.
const maxNPYHeader = 1 << 16

var (
	npyDescr = regexp.MustCompile(`'descr': *'([<>|=]?)([fiub])([1248])'`)
	npyOrder = regexp.MustCompile(`'fortran_order': *(True|False)`)
	npyShape = regexp.MustCompile(`'shape': *\(([0-9, ]*)\)`)
)

// openNPY reads the header of an array in the .npy format, versions 1 to 3.
func openNPY(r io.ReaderAt, size int64) (*array, error) {
	var head [12]byte
	if n, err := r.ReadAt(head[:], 0); n < 12 {
		return nil, fmt.Errorf("npy: %w: %w", err, ErrFormat)
	}
	at, length := int64(10), int64(binary.LittleEndian.Uint16(head[8:]))
	if head[6] > 1 {
		at, length = 12, int64(binary.LittleEndian.Uint32(head[8:]))
	}
	if string(head[:6]) != npyMagic || head[6] < 1 || head[6] > 3 || length > maxNPYHeader || length > size-at {
		return nil, fmt.Errorf("npy: the file begins with %q: %w", head, ErrFormat)
	}
	text := make([]byte, length)
	if _, err := r.ReadAt(text, at); err != nil && err != io.EOF {
		return nil, fmt.Errorf("npy: %w", err)
	}
	descr, order, dims := npyDescr.FindSubmatch(text), npyOrder.FindSubmatch(text), npyShape.FindSubmatch(text)
	if descr == nil || order == nil || dims == nil {
		return nil, fmt.Errorf("npy: header %q, expected an array of numbers: %w", strings.TrimSpace(string(text)), ErrFormat)
	}
	var shape []int
	for _, field := range strings.FieldsFunc(string(dims[1]), func(c rune) bool { return c == ',' || c == ' ' }) {
		d, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("npy: shape (%s): %w", dims[1], ErrFormat)
		}
		shape = append(shape, d)
	}
	t := dtype{kind: descr[2][0], size: int(descr[3][0] - '0'), big: string(descr[1]) == ">"}
	if t.kind == 'b' { // numpy's bool
		t.kind = 'u'
	}
	if t.kind == 'f' && t.size == 1 {
		return nil, fmt.Errorf("npy: type %q: %w", descr[0], ErrFormat)
	}
	if string(order[1]) == "True" && len(shape) > 1 {
		return nil, fmt.Errorf("npy: the array is in Fortran order, expected C order (numpy.ascontiguousarray): %w", ErrFormat)
	}
	a, err := newArray(r, at+length, size-at-length, t, shape)
	if err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	return a, nil
}
