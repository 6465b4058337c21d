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
	_ "golang.org/x/image/webp"

	"github.com/robust-transfer/rtx/featurize/pixels/turbo"
)

// MaxPixels is the default limit of an image, the size from which Pillow
// refuses one as a decompression bomb.
const MaxPixels = 178_956_970

// DecodeConfig says how images are decoded.
type DecodeConfig struct {
	MaxPixels  int  // larger images are refused before memory is taken for them; 0: MaxPixels
	ExifRotate bool // turn the image as its EXIF orientation says
	PureGo     bool // do without libjpeg-turbo
}

// Info is what an image was before it became RGB.
type Info struct {
	Format        string // jpeg, png, gif, bmp, tiff, webp
	Width, Height int    // before rotation
	// Warnings tells what was done that one may not expect. 16-bit grey is cut
	// off at 255, as Pillow does it.
	Warnings []string
}

// JPEGDecoder names the decoder that JPEG files go through, and its version.
func JPEGDecoder() (name, version string) {
	if v, ok := turbo.Version(); ok {
		return "libjpeg-turbo", v
	}
	return "go", runtime.Version()
}

// Decoder decodes images and keeps its buffers between them; one goroutine
// uses it at a time.
type Decoder struct {
	config DecodeConfig
	turbo  *turbo.Decoder
	cmyk   []uint8
}

// NewDecoder makes a decoder; Close frees it.
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

// Close frees what the decoder holds.
func (d *Decoder) Close() {
	if d.turbo != nil {
		d.turbo.Close()
		d.turbo = nil
	}
}

// Decode brings an encoded image to RGB in dst.
func (d *Decoder) Decode(dst *Image, data []byte) (info Info, err error) {
	defer func() { // some decoders index what a damaged file tells them to
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: damaged: %v", info.Format, p)
		}
	}()
	info.Format = sniff(data)
	switch {
	case len(data) == 0:
		return info, errors.New("the file is empty")
	case info.Format == "":
		return info, errors.New("not an image of a known format (jpeg, png, gif, bmp, tiff, webp)")
	case info.Format == "jpeg" && d.turbo != nil:
		err = d.jpeg(dst, data, &info)
	default:
		err = d.other(dst, data, &info)
	}
	if err != nil {
		return info, fmt.Errorf("%s: %w", info.Format, err)
	}
	if d.config.ExifRotate {
		rotate(dst, orientation(data, info.Format))
	}
	return info, nil
}

// sniff tells the format from the first bytes.
func sniff(b []byte) string {
	has := func(at int, s string) bool { return len(b) >= at+len(s) && string(b[at:at+len(s)]) == s }
	switch {
	case has(0, "\xff\xd8\xff"):
		return "jpeg"
	case has(0, "\x89PNG\r\n\x1a\n"):
		return "png"
	case has(0, "GIF87a"), has(0, "GIF89a"):
		return "gif"
	case has(0, "BM"):
		return "bmp"
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return "tiff"
	case has(0, "RIFF") && has(8, "WEBP"):
		return "webp"
	}
	return ""
}

// check refuses an image by its size.
func (d *Decoder) check(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("size %dx%d", w, h)
	}
	if w > d.config.MaxPixels/h {
		return fmt.Errorf("%dx%d pixels, the limit is %d: a decompression bomb?", w, h, d.config.MaxPixels)
	}
	return nil
}

// jpeg decodes with libjpeg-turbo.
func (d *Decoder) jpeg(dst *Image, data []byte, info *Info) error {
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

// inkToRGB is Pillow's conversion from CMYK.
func inkToRGB(dst []uint8, c, m, y, k uint8) {
	for i, ink := range [3]uint8{c, m, y} {
		left := 255 - int(k)
		t := int(ink)*left + 128
		dst[i] = uint8(max(0, left-(t>>8+t)>>8))
	}
}

// complete reports whether a JPEG file goes up to its end-of-image marker.
// libjpeg-turbo invents one where it is missing, Pillow refuses the file.
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
	if info.Format == "gif" {
		return gifFrame(dst, data, c.Width, c.Height)
	}
	m, err := imaging.Decode(bytes.NewReader(data))
	if err != nil {
		return plain(err)
	}
	if n, ok := m.(*image.NRGBA64); ok && info.Format == "png" && data[25] == 0 {
		m = grey(n) // by its header; the decoder makes alpha of a transparent colour
	}
	dst.resize(m.Bounds().Dx(), m.Bounds().Dy())
	grey16 := toRGB(dst, m, info.Format == "webp")
	if info.Format == "tiff" && inverted(data) {
		for i, v := range dst.Pix {
			dst.Pix[i] = 255 - v
		}
	}
	if grey16 {
		info.Warnings = append(info.Warnings, "16-bit grey is cut off at 255, as Pillow does; convert such images to 8 bits first")
	}
	return nil
}

// grey is an image whose colours are all the same, without its alpha.
func grey(m *image.NRGBA64) *image.Gray16 {
	g := image.NewGray16(m.Rect)
	for i := range len(g.Pix) / 2 {
		copy(g.Pix[2*i:2*i+2], m.Pix[8*i:])
	}
	return g
}

// inverted reports whether a TIFF file is a fax (compression 3 or 4) in which
// zero is black. White runs are zeros, as libtiff has it, but Go's decoder
// leaves them white.
func inverted(data []byte) bool {
	compression := tiffShort(data, 0x0103)
	return (compression == 3 || compression == 4) && tiffShort(data, 0x0106) == 1
}

// plain words for a file that ends too soon.
func plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.HasSuffix(err.Error(), "EOF") {
		return errors.New("the file is truncated")
	}
	return err
}

// toRGB converts by the concrete type, so that alpha is dropped, not blended.
// It reports whether the image was 16-bit grey.
func toRGB(dst *Image, m image.Image, webp bool) (grey16 bool) {
	w, h := dst.Width, dst.Height
	each := func(pix []uint8, stride, step int, put func(o, p []uint8)) {
		for y := range h {
			out, row := dst.Pix[y*w*3:][:w*3], pix[y*stride:]
			for x := range w {
				put(out[3*x:3*x+3:3*x+3], row[x*step:][:step:step])
			}
		}
	}
	first3 := func(o, p []uint8) { o[0], o[1], o[2] = p[0], p[1], p[2] }
	high3 := func(o, p []uint8) { o[0], o[1], o[2] = p[0], p[2], p[4] }
	switch m := m.(type) {
	case *image.YCbCr:
		fromYCbCr(dst, m, webp)
	case *image.NYCbCrA:
		fromYCbCr(dst, &m.YCbCr, webp)
	case *image.NRGBA:
		each(m.Pix, m.Stride, 4, first3)
	case *image.RGBA:
		if m.Opaque() {
			each(m.Pix, m.Stride, 4, first3)
			return false
		}
		each(m.Pix, m.Stride, 4, func(o, p []uint8) {
			for i := range 3 {
				o[i] = 0
				if p[3] > 0 {
					o[i] = uint8(min(255, int(p[i])*255/int(p[3])))
				}
			}
		})
	case *image.NRGBA64:
		each(m.Pix, m.Stride, 8, high3)
	case *image.RGBA64:
		each(m.Pix, m.Stride, 8, high3)
	case *image.Gray:
		each(m.Pix, m.Stride, 1, func(o, p []uint8) { o[0], o[1], o[2] = p[0], p[0], p[0] })
	case *image.Gray16:
		each(m.Pix, m.Stride, 2, func(o, p []uint8) {
			v := p[1]
			if p[0] > 0 {
				v = 255
			}
			o[0], o[1], o[2] = v, v, v
		})
		return true
	case *image.CMYK:
		each(m.Pix, m.Stride, 4, func(o, p []uint8) { inkToRGB(o, p[0], p[1], p[2], p[3]) })
	case *image.Paletted:
		var colors [256][3]uint8
		for i, c := range m.Palette {
			colors[i] = straight(c)
		}
		each(m.Pix, m.Stride, 1, func(o, p []uint8) { copy(o, colors[p[0]][:]) })
	default:
		b := m.Bounds()
		for y := range h {
			for x := range w {
				c := straight(m.At(b.Min.X+x, b.Min.Y+y))
				copy(dst.Pix[(y*w+x)*3:], c[:])
			}
		}
	}
	return false
}
