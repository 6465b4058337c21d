package pixels

import (
	"bytes"
	"errors"
	"fmt"
	"image"
)

// SizeBytes is the number of bytes at the start of a file from which Size finds the
// size of all but unusual images.
const SizeBytes = 64 << 10

// Size returns the width and height of an image from the beginning of its file, and its
// EXIF orientation, 1 to 8: 1, which is upright, if there is none. The size is that of
// what Decode makes of the file without DecodeConfig.ExifRotate. An error for the
// beginning of a file need not be one for the whole file.
func Size(data []byte) (width, height, orientation int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged: %v", p)
		}
	}()
	name, decodable := Format(data)
	switch {
	case len(data) == 0:
		return 0, 0, 0, errors.New("the file is empty")
	case name == "":
		return 0, 0, 0, errUnknown
	case !decodable:
		return 0, 0, 0, fmt.Errorf("%w: %q", ErrNotSupported, name)
	}
	width, height, orientation, err = sizeOf(name, data)
	if err == nil && (width < 1 || height < 1) {
		err = fmt.Errorf("size %dx%d", width, height)
	}
	return width, height, orientation, err
}

func sizeOf(format string, data []byte) (width, height, orient int, err error) {
	switch format {
	case "jpeg":
		h, err := jpegFrame(data)
		return h.width, h.height, orientation(data), err
	case "tiff":
		return sizeOfTIFF(data)
	case "gif":
		f, err := readGIF(data)
		if err != nil {
			return 0, 0, 0, err
		}
		return max(f.width, f.right), max(f.height, f.bottom), 1, nil
	case "bmp":
		f, err := readBMP(data)
		if err != nil {
			return 0, 0, 0, err
		}
		return f.width, f.height, 1, nil
	case "pbm", "pgm", "ppm":
		p := netpbm{data: data, at: 2}
		if width, err = p.number("the width"); err == nil {
			height, err = p.number("the height")
		}
		return width, height, 1, err
	case "webp":
		if hasBytes(data, 12, "VP8X") && len(data) >= 30 {
			return 1 + uint24(data[24:]), 1 + uint24(data[27:]), 1, nil
		}
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(data))
	return c.Width, c.Height, 1, plain(err)
}

// sizeOfTIFF is the size of the upright image, which TIFF files are decoded to.
func sizeOfTIFF(data []byte) (width, height, orient int, err error) {
	d, err := readTIFF(data)
	if err != nil {
		return 0, 0, 0, err
	}
	width, height = d.int(tagWidth, 0), d.int(tagHeight, 0)
	if d.int(tagOrientation, 1) >= 5 {
		width, height = height, width
	}
	return width, height, 1, nil
}
