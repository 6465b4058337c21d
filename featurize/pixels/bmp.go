package pixels

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// bmp is the header of a BMP file, of Windows or of OS/2.
type bmp struct {
	width, height int
	topDown       bool
	bits          int // of a pixel: 1, 2, 4, 8, 16, 24 or 32
	compression   uint32
	masks         [4]uint32 // of red, green, blue and alpha, where the file has them
	pixels        int       // where they begin
	palette       [256][3]uint8
}

// Compressions of BMP.
const (
	bmpRaw       = 0
	bmpRLE8      = 1
	bmpRLE4      = 2
	bmpBitFields = 3
)

var errTruncated = errors.New("the file is truncated")

// bmp decodes a BMP file.
func (d *Decoder) bmp(dst *Image, data []byte, info *Info) error {
	f, err := readBMP(data)
	if err != nil {
		return err
	}
	if err := d.check(f.width, f.height); err != nil {
		return err
	}
	info.Width, info.Height = f.width, f.height
	if f.compression == bmpRLE8 || f.compression == bmpRLE4 {
		indices, err := f.runs(data)
		if err != nil {
			return err
		}
		dst.resize(f.width, f.height)
		for i, v := range indices {
			x, y := i%f.width, f.height-1-i/f.width
			copy(dst.Pix[(y*f.width+x)*3:], f.palette[v][:])
		}
		return nil
	}
	put, err := f.unpacker()
	if err != nil {
		return err
	}
	row, stride := (f.width*f.bits+7)/8, (f.width*f.bits+31)/32*4
	if f.pixels > len(data) || (len(data)-f.pixels-row)/stride < f.height-1 || len(data)-f.pixels < row { // the last row need not be padded
		return errTruncated
	}
	dst.resize(f.width, f.height)
	for i := range f.height {
		y := f.height - 1 - i
		if f.topDown {
			y = i
		}
		put(dst.Pix[y*f.width*3:][:f.width*3], data[f.pixels+i*stride:][:row])
	}
	return nil
}

// readBMP reads the header and the palette.
func readBMP(b []byte) (*bmp, error) {
	if len(b) < 18 {
		return nil, errTruncated
	}
	le := binary.LittleEndian
	size := int(le.Uint32(b[14:]))
	f := &bmp{pixels: int(le.Uint32(b[10:]))}
	after := 14 + size // the end of the header
	entry, colors := 4, 0
	switch size {
	case 12, 40, 52, 56, 64, 108, 124:
	default:
		return nil, fmt.Errorf("%w: BMP with a header of %d bytes", ErrNotSupported, size)
	}
	if len(b) < after {
		return nil, errTruncated
	}
	if size == 12 { // OS/2
		f.width, f.height = int(le.Uint16(b[18:])), int(le.Uint16(b[20:]))
		f.bits, entry = int(le.Uint16(b[24:])), 3
	} else {
		f.width, f.height = int(int32(le.Uint32(b[18:]))), int(int32(le.Uint32(b[22:])))
		f.bits, f.compression = int(le.Uint16(b[28:])), le.Uint32(b[30:])
		colors = int(le.Uint32(b[46:]))
		if f.topDown = f.height < 0; f.topDown {
			f.height = -f.height
		}
	}
	if f.compression == bmpBitFields {
		n := 3 // masks: within the header, or after one of 40 bytes
		if size >= 56 {
			n = 4
		}
		if size == 40 {
			after += 12
		}
		if len(b) < 54+4*n {
			return nil, errTruncated
		}
		for i := range n {
			f.masks[i] = le.Uint32(b[54+4*i:])
		}
	}
	switch f.bits {
	case 1, 2, 4, 8:
		if colors == 0 {
			colors = 1 << f.bits
		}
		for i := 0; i < min(colors, 256) && after+entry*i+3 <= len(b); i++ {
			at := after + entry*i
			f.palette[i] = [3]uint8{b[at+2], b[at+1], b[at]}
		}
		if f.pixels == 0 || f.pixels == 14+size {
			f.pixels = after + entry*min(colors, len(b))
		}
	case 16, 24, 32:
		if f.pixels == 0 {
			f.pixels = after
		}
	default:
		return nil, fmt.Errorf("%w: BMP of %d bits", ErrNotSupported, f.bits)
	}
	return f, f.check()
}

// check refuses the combinations of compression and bits that are not read.
func (f *bmp) check() error {
	switch {
	case f.compression == bmpRaw:
		return nil
	case f.compression == bmpRLE8 && f.bits == 8 && !f.topDown, f.compression == bmpRLE4 && f.bits == 4 && !f.topDown:
		return nil
	case f.compression == bmpBitFields && f.bits >= 16:
		return nil
	}
	if name := map[uint32]string{4: "JPEG inside", 5: "PNG inside"}[f.compression]; name != "" {
		return fmt.Errorf("%w: BMP with %s", ErrNotSupported, name)
	}
	return fmt.Errorf("%w: BMP of %d bits with compression %d", ErrNotSupported, f.bits, f.compression)
}

// bmpOrders are the bytes of red, green and blue in a pixel, by the masks of bit
// fields that Pillow knows.
var bmpOrders = map[[4]uint32][3]int{
	{0xff0000, 0xff00, 0xff, 0}:          {2, 1, 0},
	{0xff0000, 0xff00, 0xff, 0xff000000}: {2, 1, 0},
	{0xff000000, 0xff0000, 0xff00, 0}:    {3, 2, 1},
	{0xff000000, 0xff0000, 0xff00, 0xff}: {3, 2, 1},
	{0xff000000, 0xff00, 0xff, 0}:        {3, 1, 0},
	{0xff000000, 0xff00, 0xff, 0xff0000}: {3, 1, 0},
	{0xff, 0xff00, 0xff0000, 0xff000000}: {0, 1, 2},
	{0, 0, 0, 0}:                         {2, 1, 0},
}

// unpacker returns what turns a row of the file into RGB.
func (f *bmp) unpacker() (func(out, row []byte), error) {
	switch fields := f.compression == bmpBitFields; f.bits {
	case 16:
		mask := [3]uint32(f.masks[:3])
		switch {
		case !fields || mask == [3]uint32{0x7c00, 0x3e0, 0x1f}:
			return unpack16(10, 31), nil
		case mask == [3]uint32{0xf800, 0x7e0, 0x1f}:
			return unpack16(11, 63), nil
		}
	case 24:
		if !fields || [3]uint32(f.masks[:3]) == [3]uint32{0xff0000, 0xff00, 0xff} {
			return unpackBytes(3, [3]int{2, 1, 0}), nil
		}
	case 32:
		if !fields {
			return unpackBytes(4, [3]int{2, 1, 0}), nil
		}
		if order, ok := bmpOrders[f.masks]; ok {
			return unpackBytes(4, order), nil
		}
	default:
		return func(out, row []byte) {
			mask := byte(1<<f.bits - 1)
			for x := range len(out) / 3 {
				v := row[x*f.bits/8] >> (8 - f.bits - x*f.bits%8) & mask
				copy(out[3*x:3*x+3], f.palette[v][:])
			}
		}, nil
	}
	return nil, fmt.Errorf("%w: BMP of %d bits with bit fields %x, %x, %x", ErrNotSupported, f.bits, f.masks[0], f.masks[1], f.masks[2])
}

// unpackBytes takes red, green and blue from some of the bytes of a pixel.
func unpackBytes(step int, order [3]int) func(out, row []byte) {
	return func(out, row []byte) {
		for len(out) > 0 {
			out[0], out[1], out[2] = row[order[0]], row[order[1]], row[order[2]]
			out, row = out[3:], row[step:]
		}
	}
}

// unpack16 scales fields of five bits, or six for green, to eight.
func unpack16(red, green int) func(out, row []byte) {
	return func(out, row []byte) {
		for ; len(out) > 0; out, row = out[3:], row[2:] {
			v := int(row[0]) | int(row[1])<<8
			out[0] = uint8((v >> red & 31) * 255 / 31)
			out[1] = uint8((v >> 5 & green) * 255 / green)
			out[2] = uint8((v & 31) * 255 / 31)
		}
	}
}
