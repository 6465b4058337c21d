package pixels

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"runtime"
	"strings"

	"github.com/disintegration/imaging" // registers JPEG, PNG, GIF, TIFF and BMP

	"github.com/robust-transfer/rtx/featurize/pixels/turbo"
)

// MaxPixels is the default of DecodeConfig.MaxPixels: the size above which Pillow
// refuses an image as a decompression bomb.
const MaxPixels = 178_956_970

// DecodeConfig says how images are decoded. The zero value is the default.
type DecodeConfig struct {
	MaxPixels  int  // images with more pixels are refused before memory is allocated; 0: MaxPixels
	ExifRotate bool // turn the image upright by its EXIF orientation
	PureGo     bool // use Go's JPEG decoder even if libjpeg-turbo is installed
	Grey       bool // turn colours into shades of grey, see Grey
}

// Info describes an image file.
type Info struct {
	Format        string // by its contents: see Format
	Width, Height int    // before rotation
	// Warnings says, in sentences, what a user may not expect of the pixels: that
	// 16-bit grey was clipped at 255.
	Warnings []string
}

var errUnknown = errors.New("not an image of a known format (jpeg, png, gif, bmp, tiff, webp, ppm)")

const grey16Warning = "16-bit grey is cut off at 255, as Pillow does; convert such images to 8 bits first"

// JPEGDecoder names the decoder of JPEG files, "libjpeg-turbo" or "go", and its
// version. Record both with features: pixels depend on them.
func JPEGDecoder() (name, version string) {
	if v, ok := turbo.Version(); ok {
		return "libjpeg-turbo", v
	}
	return "go", runtime.Version()
}

// JPEGDecoderKey names the decoder of JPEG files for comparisons of what was made
// with it: "libjpeg-turbo" with the version of its interface, or "go" with Go's. An
// update of libjpeg-turbo that keeps the interface decodes the usual files to the same
// pixels, and does not set work apart that was done before it; the records of that
// work have the version itself.
func JPEGDecoderKey() string {
	if v, ok := turbo.Interface(); ok {
		return "libjpeg-turbo " + v
	}
	return "go " + runtime.Version()
}

// Decoder decodes image files and keeps its buffers between them. One goroutine
// may use it at a time.
type Decoder struct {
	config DecodeConfig
	turbo  *turbo.Decoder // nil: Go's decoder
	cmyk   []uint8
}

// NewDecoder makes a decoder, which the caller must Close.
func NewDecoder(c DecodeConfig) *Decoder {
	if c.MaxPixels == 0 {
		c.MaxPixels = MaxPixels
	}
	d := &Decoder{config: c}
	if !c.PureGo {
		d.turbo = turbo.New()
	}
	return d
}

// Close frees the decoder's handle of libjpeg-turbo.
func (d *Decoder) Close() {
	if d.turbo != nil {
		d.turbo.Close()
		d.turbo = nil
	}
}

// Decode decodes an image file of any of the formats into dst, whose buffer it
// reuses. The format is found from the contents. The error for an image of a format
// or a variant that is not read wraps ErrNotSupported. After an error dst is
// undefined, and the decoder is good for the next file.
func (d *Decoder) Decode(dst *Image, data []byte) (info Info, err error) {
	defer func() { // some decoders index out of range in damaged files
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: damaged: %v", info.Format, p)
		}
	}()
	name, decodable := Format(data)
	info.Format = name
	switch {
	case len(data) == 0:
		return info, errors.New("the file is empty")
	case name == "":
		return info, errUnknown
	case !decodable:
		return info, fmt.Errorf("%w: %s", ErrNotSupported, strings.ToUpper(name))
	}
	switch name {
	case "jpeg":
		err = d.jpeg(dst, data, &info)
	case "tiff":
		err = d.tiff(dst, data, &info)
	case "webp":
		err = d.webp(dst, data, &info)
	case "gif":
		err = d.gif(dst, data, &info)
	case "bmp":
		err = d.bmp(dst, data, &info)
	case "pbm", "pgm", "ppm":
		err = d.netpbm(dst, data, &info)
	default:
		err = d.other(dst, data, &info)
	}
	if errors.Is(err, ErrNotSupported) {
		return info, err
	}
	if err != nil {
		return info, fmt.Errorf("%s: %w", info.Format, err)
	}
	if d.config.ExifRotate && name == "jpeg" {
		rotate(dst, orientation(data))
	}
	if d.config.Grey {
		Grey(dst.Pix)
	}
	return info, nil
}

// check refuses empty and too large images.
func (d *Decoder) check(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("size %dx%d", w, h)
	}
	if w > d.config.MaxPixels/h {
		return fmt.Errorf("%dx%d pixels, the limit is %d: a decompression bomb?", w, h, d.config.MaxPixels)
	}
	return nil
}

// other decodes with Go's decoders.
func (d *Decoder) other(dst *Image, data []byte, info *Info) error {
	c, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return plain(err)
	}
	if err := d.check(c.Width, c.Height); err != nil {
		return err
	}
	info.Width, info.Height = c.Width, c.Height
	m, err := imaging.Decode(bytes.NewReader(data))
	if err != nil && info.Format == "png" && hasBytes(data, 12, "CgBI") {
		return fmt.Errorf("%w: PNG in Apple's form for iOS", ErrNotSupported)
	}
	if err != nil {
		return plain(err)
	}
	if n, ok := m.(*image.NRGBA64); ok && info.Format == "png" && data[25] == 0 {
		m = grey(n) // by its header; the decoder makes alpha of a transparent colour
	}
	dst.resize(m.Bounds().Dx(), m.Bounds().Dy())
	grey16 := toRGB(dst, m, info.Format == "webp")
	if grey16 {
		info.Warnings = append(info.Warnings, grey16Warning)
	}
	return nil
}

// plain puts the several errors of a file that ends too soon into plain words.
func plain(err error) error {
	if err != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.HasSuffix(err.Error(), "EOF")) {
		return errTruncated
	}
	return err
}
