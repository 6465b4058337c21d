package pixels

import "fmt"

// jpegHeader is what the frame header of a JPEG file says.
type jpegHeader struct {
	marker                    byte // the process: 0xc0 is baseline
	bits                      int
	width, height, components int
}

// jpegFrame finds the first frame header.
func jpegFrame(b []byte) (h jpegHeader, err error) {
	for i := 2; i+4 <= len(b); {
		if b[i] != 0xff {
			i++ // filler, which libjpeg skips too
			continue
		}
		m := b[i+1]
		switch {
		case m == 0xff:
			i++
			continue
		case m <= 1 || 0xd0 <= m && m <= 0xd8: // no length follows
			i += 2
			continue
		case m == 0xd9 || m == 0xda:
			return h, fmt.Errorf("there is no image in the file")
		case 0xc0 <= m && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc:
			if i+10 > len(b) {
				return h, errTruncated
			}
			return jpegHeader{m, int(b[i+4]), int(b[i+7])<<8 | int(b[i+8]), int(b[i+5])<<8 | int(b[i+6]), int(b[i+9])}, nil
		}
		i += 2 + int(b[i+2])<<8 + int(b[i+3])
	}
	return h, errTruncated
}

// variant names the kind of JPEG where not every decoder reads it; "" for the
// common ones. No says that Pillow does not read it either.
func (h jpegHeader) variant() (name string, no bool) {
	switch {
	case h.bits != 8:
		return fmt.Sprintf("%d-bit JPEG", h.bits), true
	case h.components == 2 || h.components > 4:
		return fmt.Sprintf("JPEG with %d components", h.components), true
	}
	switch h.marker {
	case 0xc3, 0xcb:
		return "lossless JPEG", false
	case 0xc9, 0xca:
		return "JPEG with arithmetic coding", false
	case 0xc5, 0xc6, 0xc7, 0xcd, 0xce, 0xcf:
		return "hierarchical JPEG", true
	}
	return "", false
}
