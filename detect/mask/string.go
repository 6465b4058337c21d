package mask

import "fmt"

// The strings of COCO's files hold a number in characters of 6 bits, the lowest bits
// first: 5 bits of the number each, and above them a bit that says that more follow.
// The highest bit of the last character is the sign. To each, '0' is added. From the
// fourth run on a number is the difference to the length of the run two before.
const (
	firstDigit = '0'
	lastDigit  = '0' + 63
	moreBit    = 0x20
	signBit    = 0x10
	valueBits  = 0x1f
	maxDigits  = 7 // of the difference of two uint32
)

// String is the mask as the counts of COCO's files, the compressed form.
func (r *RLE) String() string {
	s := make([]byte, 0, 2*len(r.Counts)+4)
	for i, c := range r.Counts {
		x := int64(c)
		if i > 2 {
			x -= int64(r.Counts[i-2])
		}
		if x >= -signBit && x < signBit {
			s = append(s, firstDigit+byte(x)&valueBits)
			continue
		}
		for {
			digit := byte(x) & valueBits
			x >>= 5
			if x == 0 && digit&signBit == 0 || x == -1 && digit&signBit != 0 {
				s = append(s, firstDigit+digit)
				break
			}
			s = append(s, firstDigit+(digit|moreBit))
		}
	}
	return string(s)
}

// Parse reads the counts of a mask in COCO's files, in their compressed form; h and w
// are the mask's size. It returns an error if the string is damaged: if it holds other
// characters, ends within a number, or its runs do not make h*w pixels.
func Parse(s string, h, w int) (*RLE, error) {
	if err := checkSize(h, w); err != nil {
		return nil, err
	}
	r := &RLE{H: h, W: w, Counts: make([]uint32, 0, numbers(s))}
	left := int64(h) * int64(w)
	for p := 0; p < len(s); {
		x, next, err := number(s, p)
		if err != nil {
			return nil, fmt.Errorf("mask: character %d of the run lengths: %w", next, err)
		}
		i := len(r.Counts)
		if i > 2 {
			x += int64(r.Counts[i-2])
		}
		if x < 0 || x > left {
			return nil, fmt.Errorf("mask: run %d has length %d, with %d of the %d pixels of a mask of %dx%d left", i, x, left, h*w, h, w)
		}
		left -= x
		r.Counts = append(r.Counts, uint32(x))
		p = next
	}
	if left > 0 {
		return nil, fmt.Errorf("mask: the runs add up to %d pixels, but a mask of %dx%d has %d", int64(h)*int64(w)-left, h, w, h*w)
	}
	return r, nil
}

// numbers counts those of s: its characters without moreBit.
func numbers(s string) int {
	n := 0
	for i := range len(s) {
		n += int(^(s[i]-firstDigit)&moreBit) / moreBit
	}
	return n
}

// number reads the number at s[p], and returns where the next one is, or which character
// is wrong.
func number(s string, p int) (x int64, next int, err error) {
	if c := s[p] - firstDigit; c < moreBit {
		return int64(c^signBit) - signBit, p + 1, nil
	}
	return longNumber(s, p)
}

func longNumber(s string, p int) (x int64, next int, err error) {
	for bits := 0; p < len(s); p++ {
		c := s[p] - firstDigit
		if c > lastDigit-firstDigit {
			return 0, p, fmt.Errorf("%q is not of its alphabet", s[p])
		}
		if bits == 5*maxDigits {
			return 0, p, fmt.Errorf("a number of more than %d characters", maxDigits)
		}
		x |= int64(c&valueBits) << bits
		bits += 5
		if c&moreBit == 0 {
			return x << (64 - bits) >> (64 - bits), p + 1, nil // with its sign
		}
	}
	return 0, p, fmt.Errorf("the string ends within a number")
}
