package pixels

import (
	"bytes"
	"fmt"
)

// runs expands the run-length encoding of a BMP file to indices of the palette,
// from the bottom row upwards. A run that is too long for its row is cut off, a row
// that is too short is filled with index 0, as is what a jump leaves out.
func (f *bmp) runs(b []byte) ([]byte, error) {
	n := f.width * f.height
	out := make([]byte, 0, min(n, 1<<20)) // a small file may claim a large size
	x, at := 0, f.pixels
	take := func(n int) []byte {
		at += n
		if at > len(b) {
			at = len(b) + 1
			return nil
		}
		return b[at-n : at]
	}
	for len(out) < n {
		code := take(2)
		if code == nil {
			return nil, errTruncated
		}
		count, v := int(code[0]), code[1]
		switch {
		case count > 0:
			count = max(0, min(count, f.width-x))
			out = append(out, f.spread(bytes.Repeat([]byte{v}, count), count)...)
			x += count
		case v == 0: // the end of a row
			if left := len(out) % f.width; left > 0 {
				out = append(out, make([]byte, f.width-left)...)
			}
			x = 0
		case v == 1: // the end of the image
			return nil, fmt.Errorf("%w: BMP with run-length encoding that ends before the last row", ErrNotSupported)
		case v == 2: // a jump to the right and up
			jump := take(2)
			if jump == nil {
				return nil, errTruncated
			}
			out = append(out, make([]byte, min(n-len(out), int(jump[0])+int(jump[1])*f.width))...)
			x = len(out) % f.width
		default: // single pixels
			count := min(n-len(out), int(v))
			bytes := count
			if f.bits == 4 {
				bytes = (count + 1) / 2
			}
			single := take(bytes)
			if single == nil {
				return nil, errTruncated
			}
			out = append(out, f.spread(single, count)...)
			x += int(v)
			at += at % 2 // an even offset in the file
		}
	}
	return out[:n], nil
}

// spread returns count indices: one from each byte, or two where they have 4 bits.
// What bytes remain are not looked at.
func (f *bmp) spread(b []byte, count int) []byte {
	if f.bits == 8 {
		return b[:count]
	}
	out := make([]byte, count)
	for i := range out {
		out[i] = b[i/2] >> (4 - 4*(i%2)) & 15
	}
	return out
}
