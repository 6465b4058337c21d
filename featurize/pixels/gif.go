package pixels

import (
	"bytes"
	"compress/lzw"
	"errors"
	"fmt"
	"io"
)

// gif is the first frame of a GIF file: where it lies on its canvas, the colours,
// and where its data begin.
type gif struct {
	width, height            int // of the canvas
	left, top, right, bottom int
	interlaced               bool
	palette                  [256][3]uint8
	transparent              int // the transparent index, 0 if there is none
	data                     int // the offset of the code size
}

// gif decodes the first frame of a GIF. Pillow fills the canvas with the colour of
// the transparent index, or of 0, and gives transparent pixels that colour too; a
// frame that reaches beyond the canvas makes it larger.
func (d *Decoder) gif(dst *Image, data []byte, info *Info) error {
	f, err := readGIF(data)
	if err != nil {
		return err
	}
	w, h := max(f.width, f.right), max(f.height, f.bottom)
	if err := d.check(w, h); err != nil {
		return err
	}
	info.Width, info.Height = w, h
	indices, err := f.indices(data)
	if err != nil {
		return err
	}
	dst.resize(w, h)
	for i := range w * h {
		copy(dst.Pix[3*i:3*i+3], f.palette[f.transparent][:])
	}
	columns := f.right - f.left
	for i, y := range rowOrder(f.bottom-f.top, f.interlaced) {
		for x := range columns {
			copy(dst.Pix[((f.top+y)*w+f.left+x)*3:], f.palette[indices[i*columns+x]][:])
		}
	}
	return nil
}

// readGIF reads up to the data of the first frame.
func readGIF(b []byte) (*gif, error) {
	if len(b) < 13 {
		return nil, errTruncated
	}
	f := &gif{width: int(b[6]) | int(b[7])<<8, height: int(b[8]) | int(b[9])<<8}
	for i := range f.palette { // where a file has no palette
		f.palette[i] = [3]uint8{uint8(i), uint8(i), uint8(i)}
	}
	for at := f.table(b, 13, b[10]); at < len(b); {
		switch b[at] {
		case 0x21: // an extension
			if at+7 <= len(b) && b[at+1] == 0xf9 && b[at+2] >= 4 && b[at+3]&1 != 0 { // the graphic control
				f.transparent = int(b[at+6])
			}
			for at += 2; at < len(b) && b[at] != 0; at += 1 + int(b[at]) {
			}
			at++
		case 0x2c:
			if at+10 > len(b) {
				return nil, errTruncated
			}
			short := func(i int) int { return int(b[at+i]) | int(b[at+i+1])<<8 }
			f.left, f.top = short(1), short(3)
			f.right, f.bottom = f.left+short(5), f.top+short(7)
			f.interlaced = b[at+9]&0x40 != 0
			f.data = f.table(b, at+10, b[at+9])
			return f, nil
		case 0x3b:
			return nil, errors.New("there is no image in the file")
		default:
			at++ // as Pillow does
		}
	}
	return nil, errTruncated
}

// table reads the palette at an offset, if the flags say that there is one, and
// returns the offset after it.
func (f *gif) table(b []byte, at int, flags byte) int {
	if flags&0x80 == 0 {
		return at
	}
	n := 2 << (flags & 7)
	f.palette = [256][3]uint8{}
	for i := 0; i < n && at+3*i+3 <= len(b); i++ {
		copy(f.palette[i][:], b[at+3*i:])
	}
	return at + 3*n
}

// indices decompresses the frame.
func (f *gif) indices(b []byte) ([]byte, error) {
	n := (f.right - f.left) * (f.bottom - f.top)
	if n == 0 {
		return nil, fmt.Errorf("the first frame is of size %dx%d", f.right-f.left, f.bottom-f.top)
	}
	if f.data >= len(b) {
		return nil, errTruncated
	}
	bits := int(b[f.data])
	if bits < 2 || bits > 8 {
		return nil, fmt.Errorf("codes of %d bits", bits)
	}
	blocks := &gifBlocks{rest: b[f.data+1:]}
	r := lzw.NewReader(blocks, lzw.LSB, bits)
	defer r.Close()
	var out bytes.Buffer // a small file may claim a large size
	_, err := io.CopyN(&out, r, int64(n))
	return out.Bytes(), plain(err)
}

// gifBlocks reads the data of a frame, which come in blocks of up to 255 bytes.
type gifBlocks struct{ block, rest []byte }

func (r *gifBlocks) ReadByte() (byte, error) {
	for len(r.block) == 0 {
		if len(r.rest) == 0 || r.rest[0] == 0 || len(r.rest) <= int(r.rest[0]) {
			return 0, io.EOF
		}
		n := int(r.rest[0])
		r.block, r.rest = r.rest[1:1+n], r.rest[1+n:]
	}
	c := r.block[0]
	r.block = r.block[1:]
	return c, nil
}

func (r *gifBlocks) Read(p []byte) (n int, err error) {
	for ; n < len(p) && err == nil; n++ {
		p[n], err = r.ReadByte()
	}
	return n, err
}

// rowOrder is the order in which the rows of a frame come.
func rowOrder(height int, interlaced bool) []int {
	passes := [][2]int{{0, 1}}
	if interlaced {
		passes = [][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
	}
	rows := make([]int, 0, height)
	for _, p := range passes {
		for y := p[0]; y < height; y += p[1] {
			rows = append(rows, y)
		}
	}
	return rows
}
