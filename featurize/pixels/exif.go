package pixels

import (
	"encoding/binary"
	"image"

	"github.com/disintegration/imaging"
)

// orientation reads the EXIF orientation of a JPEG or TIFF file, 1 to 8: 1, which
// is upright, if there is none.
func orientation(b []byte, format string) int {
	switch format {
	case "tiff":
		return tiffOrientation(b)
	case "jpeg":
		for i := 2; i+4 <= len(b) && b[i] == 0xff; {
			size := int(b[i+2])<<8 + int(b[i+3])
			if b[i+1] == 0xda || size < 2 || i+2+size > len(b) {
				return 1
			}
			if body := b[i+4 : i+2+size]; b[i+1] == 0xe1 && len(body) > 6 && string(body[:6]) == "Exif\x00\x00" {
				return tiffOrientation(body[6:])
			}
			i += 2 + size
		}
	}
	return 1
}

// tiffOrientation reads the orientation from the first directory of a TIFF file.
func tiffOrientation(b []byte) int {
	if v := tiffShort(b, 0x0112); v >= 1 && v <= 8 {
		return v
	}
	return 1
}

// tiffShort reads a tag of type SHORT from the first directory of a TIFF file: 0
// if it is not there.
func tiffShort(b []byte, tag uint16) int {
	if len(b) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	at := int(order.Uint32(b[4:]))
	if at < 8 || at+2 > len(b) {
		return 0
	}
	for i, n := at+2, int(order.Uint16(b[at:])); n > 0 && i+12 <= len(b); i, n = i+12, n-1 {
		if order.Uint16(b[i:]) == tag {
			return int(order.Uint16(b[i+8:]))
		}
	}
	return 0
}

// rotate turns an image of some orientation upright.
func rotate(m *Image, orientation int) {
	turn := map[int]func(image.Image) *image.NRGBA{
		2: imaging.FlipH, 3: imaging.Rotate180, 4: imaging.FlipV, 5: imaging.Transpose,
		6: imaging.Rotate270, 7: imaging.Transverse, 8: imaging.Rotate90,
	}[orientation]
	if turn == nil {
		return
	}
	n := image.NewNRGBA(image.Rect(0, 0, m.Width, m.Height))
	for i := range m.Width * m.Height {
		copy(n.Pix[4*i:], m.Pix[3*i:3*i+3])
		n.Pix[4*i+3] = 255
	}
	t := turn(n)
	m.resize(t.Rect.Dx(), t.Rect.Dy())
	toRGB(m, t, false)
}
