package pixels

import (
	"errors"
	"fmt"
)

// tiffJPEGPart decodes a strip or tile that is a JPEG file without its tables.
func (d *Decoder) tiffJPEGPart(p *tiffPart, f *tiff, i, w, h int) error {
	b, err := f.part(f.offsets, f.sizes, i, len(f.data))
	if err != nil {
		return err
	}
	if len(b) < 2 {
		return errTruncated
	}
	file := jpegOfTIFF(f.tags[tagJPEGTables].body, b, f.photo == photoYCbCr)
	head, err := jpegFrame(file)
	if err != nil {
		return err
	}
	// A last strip may be stored whole.
	if head.components != f.samples || head.width != w || head.height < h || head.height > f.tileH {
		return fmt.Errorf("JPEG of %dx%d with %d components inside, want %dx%d with %d", head.width, head.height, head.components, w, h, f.samples)
	}
	n := w * h * f.samples
	if f.samples == 4 {
		if d.turbo == nil || f.photo != photoCMYK {
			return fmt.Errorf("%w: TIFF with JPEG inside, of four components", ErrNotSupported)
		}
		pix := make([]byte, head.width*head.height*4)
		if err := d.turbo.Decode(pix, file, head.width, head.height, true); err != nil {
			return err
		}
		p.planes[0] = pix[:n]
		return nil
	}
	var part Image
	if err := d.jpeg(&part, file, &Info{Format: "jpeg"}); err != nil {
		return err
	}
	if len(part.Pix) < w*h*3 {
		return errors.New("a part is of another size than the file says")
	}
	p.planes[0] = part.Pix
	if f.samples == 1 { // grey, repeated
		for i := range n {
			part.Pix[i] = part.Pix[3*i]
		}
	}
	return nil
}

// jpegOfTIFF makes a JPEG file of the tables of a TIFF file and of a part of it,
// both of which begin and end with the markers of a file. The colour space is
// TIFF's to say: a marker of Adobe's passes it on.
func jpegOfTIFF(tables, part []byte, ycbcr bool) []byte {
	transform := byte(0)
	if ycbcr {
		transform = 1
	}
	file := append([]byte("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"), transform)
	if len(tables) > 4 {
		file = append(file, tables[2:len(tables)-2]...)
	}
	return append(file, part[2:]...)
}
