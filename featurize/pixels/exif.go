package pixels

import (
	"image"

	"github.com/disintegration/imaging"
)

// orientation reads the EXIF orientation of a JPEG file, 1 to 8: 1, which is
// upright, if there is none.
func orientation(b []byte) int {
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
	return 1
}

// tiffOrientation reads the orientation from the first directory of a TIFF file,
// which EXIF data are.
func tiffOrientation(b []byte) int {
	if d, err := readTIFF(b); err == nil {
		return d.int(tagOrientation, 1)
	}
	return 1
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
