package pixels

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
)

// gifFrame draws the first frame of a GIF on its canvas. Pillow first fills the
// canvas with the colour of the transparent index, or of 0, and gives transparent
// pixels that colour too. Go's decoder discards it, so the palette is read from
// the file.
func gifFrame(dst *Image, data []byte, w, h int) error {
	m, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return plain(err)
	}
	p, ok := m.(*image.Paletted)
	if !ok {
		return errors.New("the first frame has no palette")
	}
	palette, background := gifPalette(data)
	dst.resize(w, h)
	for i := range w * h {
		copy(dst.Pix[3*i:3*i+3], palette[background][:])
	}
	for y := p.Rect.Min.Y; y < min(h, p.Rect.Max.Y); y++ {
		for x := p.Rect.Min.X; x < min(w, p.Rect.Max.X); x++ {
			copy(dst.Pix[(y*w+x)*3:], palette[p.Pix[p.PixOffset(x, y)]][:])
		}
	}
	return nil
}

// gifPalette reads the palette of the first frame and its transparent index, 0 if
// there is none, from a file that has been decoded without error.
func gifPalette(b []byte) (palette [256][3]uint8, transparent int) {
	table := func(at int, flags byte) int {
		if flags&0x80 == 0 {
			return at
		}
		n := 2 << (flags & 7)
		for i := 0; i < n && at+3*i+3 <= len(b); i++ {
			copy(palette[i][:], b[at+3*i:])
		}
		return at + 3*n
	}
	for i := table(13, b[10]); i+10 <= len(b); {
		switch b[i] {
		case 0x21: // an extension, perhaps the graphic control with the transparent index
			if b[i+1] == 0xf9 && i+7 <= len(b) && b[i+3]&1 != 0 {
				transparent = int(b[i+6])
			}
			for i += 2; i < len(b) && b[i] != 0; i += 1 + int(b[i]) {
			}
			i++
		case 0x2c:
			table(i+10, b[i+9])
			return palette, transparent
		default:
			return palette, transparent
		}
	}
	return palette, transparent
}
