package seen

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// Sum is the SHA-256 of the bytes of an image file.
type Sum [sha256.Size]byte

// SumOf returns the Sum of an image file.
func SumOf(file []byte) Sum { return sha256.Sum256(file) }

// remainder is the number of bits of the remainders of a set's code.
const remainder = 24

// maxImages is the most images of a set.
const maxImages = 1 << 32

// Set is a set of images.
type Set struct {
	values []uint64 // sorted, each below len(values) << remainder
}

// NewSet returns the set of some images; of equal ones it holds one.
func NewSet(sums []Sum) *Set {
	sums = slices.Clone(sums)
	slices.SortFunc(sums, func(a, b Sum) int { return bytes.Compare(a[:], b[:]) })
	sums = slices.Compact(sums)
	s := &Set{values: make([]uint64, len(sums))}
	for i, sum := range sums {
		s.values[i] = value(sum, len(sums)) // which keeps their order
	}
	return s
}

// value is the number of an image in a set of n.
func value(sum Sum, n int) uint64 {
	high, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:8]), uint64(n)<<remainder)
	return high
}

// Count is the number of images.
func (s *Set) Count() int { return len(s.values) }

// Contains reports whether the set holds an image. Of images that it does not hold it
// says so of a fraction of 2^-24.
func (s *Set) Contains(sum Sum) bool {
	_, found := slices.BinarySearch(s.values, value(sum, len(s.values)))
	return found
}

// MarshalText encodes the set, as the package describes.
func (s *Set) MarshalText() ([]byte, error) {
	w := &bitWriter{out: binary.AppendUvarint(nil, uint64(len(s.values)))}
	last := uint64(0)
	for _, v := range s.values {
		d := v - last
		for range d >> remainder {
			w.bit(1)
		}
		w.bit(0)
		for i := remainder - 1; i >= 0; i-- {
			w.bit(d >> i & 1)
		}
		last = v
	}
	return base64.StdEncoding.AppendEncode(nil, w.out), nil
}

// UnmarshalText reads what MarshalText has written.
func (s *Set) UnmarshalText(text []byte) error {
	data, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("seen: a set of images: %w", err)
	}
	n, size := binary.Uvarint(data)
	if size <= 0 || n > maxImages || n*(remainder+1) > uint64(len(data)-size)*8 {
		return errors.New("seen: a set of images is damaged: it is too short")
	}
	r, values := bitReader{in: data[size:]}, make([]uint64, 0, n)
	last := uint64(0)
	for range n {
		quotient := uint64(0)
		for r.bit() == 1 {
			quotient++
		}
		d := uint64(0)
		for range remainder {
			d = d<<1 | r.bit()
		}
		if last += quotient<<remainder | d; last >= n<<remainder || r.short {
			return errors.New("seen: a set of images is damaged")
		}
		values = append(values, last)
	}
	s.values = values
	return nil
}

// bitWriter appends bits, the highest of a byte first.
type bitWriter struct {
	out  []byte
	free int // bits of the last byte that are not written yet
}

func (w *bitWriter) bit(b uint64) {
	if w.free == 0 {
		w.out, w.free = append(w.out, 0), 8
	}
	w.free--
	w.out[len(w.out)-1] |= byte(b) << w.free
}

// bitReader reads bits in this order; after the last one it reads zeros.
type bitReader struct {
	in    []byte
	at    int // in bits
	short bool
}

func (r *bitReader) bit() uint64 {
	if r.at >= 8*len(r.in) {
		r.short = true
		return 0
	}
	b := r.in[r.at/8] >> (7 - r.at%8) & 1
	r.at++
	return uint64(b)
}
