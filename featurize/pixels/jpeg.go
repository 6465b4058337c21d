package pixels

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/featurize/pixels/turbo"
)

// jpeg decodes a JPEG file. Where the decoder fails on one of a less common kind,
// the kind is named.
func (d *Decoder) jpeg(dst *Image, data []byte, info *Info) error {
	name, no := "", false
	if h, err := jpegFrame(data); err == nil {
		name, no = h.variant()
	}
	if no {
		return fmt.Errorf("%w: %s", ErrNotSupported, name)
	}
	decode := d.other
	if d.turbo != nil {
		decode = d.libjpeg
	}
	err := decode(dst, data, info)
	if err != nil && name != "" && complete(data) {
		return fmt.Errorf("%w: %s (%v)", ErrNotSupported, name, err)
	}
	return err
}

// libjpeg decodes with libjpeg-turbo.
func (d *Decoder) libjpeg(dst *Image, data []byte, info *Info) error {
	w, h, space, err := d.turbo.Header(data)
	if err != nil {
		return err
	}
	if err := d.check(w, h); err != nil {
		return err
	}
	if !complete(data) {
		return errors.New("the file is truncated: it has no end-of-image marker")
	}
	info.Width, info.Height = w, h
	dst.resize(w, h)
	if space != turbo.CMYK && space != turbo.YCCK {
		return d.turbo.Decode(dst.Pix, data, w, h, false)
	}
	if n := w * h * 4; cap(d.cmyk) < n {
		d.cmyk = make([]uint8, n)
	}
	d.cmyk = d.cmyk[:w*h*4]
	if err := d.turbo.Decode(d.cmyk, data, w, h, true); err != nil {
		return err
	}
	for i := range w * h {
		c := d.cmyk[4*i : 4*i+4]
		inkToRGB(dst.Pix[3*i:3*i+3], 255-c[0], 255-c[1], 255-c[2], 255-c[3])
	}
	return nil
}

// complete reports whether a JPEG file reaches its end-of-image marker. Without
// one libjpeg-turbo makes up the rest of the image, while Pillow refuses the file.
func complete(b []byte) bool {
	for i := 2; ; {
		at := bytes.IndexByte(b[i:], 0xff)
		if at < 0 {
			return false
		}
		for i += at; i < len(b) && b[i] == 0xff; i++ {
		}
		if i >= len(b) {
			return false
		}
		switch m := b[i]; {
		case m == 0xd9:
			return true
		case m == 0, m == 1, 0xd0 <= m && m <= 0xd8: // no length follows
			i++
		default:
			if i+2 >= len(b) {
				return false
			}
			i += 1 + int(b[i+1])<<8 + int(b[i+2])
			if i >= len(b) {
				return false
			}
		}
	}
}

// inkToRGB is Pillow's conversion from CMYK.
func inkToRGB(dst []uint8, c, m, y, k uint8) {
	for i, ink := range [3]uint8{c, m, y} {
		left := 255 - int(k)
		t := int(ink)*left + 128
		dst[i] = uint8(max(0, left-(t>>8+t)>>8))
	}
}
