package featurize

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unsafe"
)

// npyHeader is the length of every header we write: room for any shape, and
// the same for all of them, so that it can be written last.
const npyHeader = 128

// putNPYHeader fills a header of the .npy format, version 1.0 (numpy's
// lib/format): magic, version, length, and a Python literal padded with spaces.
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
	copy(dst[:], "\x93NUMPY\x01\x00")
	binary.LittleEndian.PutUint16(dst[8:], npyHeader-10)
	copy(dst[10:], fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", dtype, tuple))
	dst[npyHeader-1] = '\n'
}

// checkNPY reports whether r holds exactly the array that we would have
// written: dtype, shape and length.
func checkNPY(r io.ReaderAt, size int64, dtype string, shape []int, itemSize int) error {
	var want, got [npyHeader]byte
	putNPYHeader(&want, dtype, shape)
	if _, err := r.ReadAt(got[:], 0); err != nil {
		return fmt.Errorf("npy header: %w", err)
	}
	if want != got {
		return fmt.Errorf("npy header is %q, expected %q", strings.TrimSpace(string(got[10:])), strings.TrimSpace(string(want[10:])))
	}
	n := int64(itemSize)
	for _, d := range shape {
		n *= int64(d)
	}
	if size != npyHeader+n {
		return errors.New("npy file has " + strconv.FormatInt(size, 10) + " bytes, expected " + strconv.FormatInt(npyHeader+n, 10))
	}
	return nil
}

// bytesOf views numbers as the little-endian bytes of the file. Every platform
// that rtx runs on is little-endian.
func bytesOf[T float32 | int64](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}
