package pixels_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// TestNamed says which kind of file is not supported.
func TestNamed(t *testing.T) {
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	for file, want := range map[string]string{
		"fax2.tif":             "TIFF with fax compression of CCITT 1D",
		"fax3-2d.tif":          "TIFF with fax compression of CCITT 2D",
		"lab.tif":              "TIFF CIELab of 3 samples with 8 bits",
		"lzma.tif":             "TIFF with LZMA compression",
		"old-jpeg.tif":         "TIFF with JPEG inside, of the old kind",
		"double.tif":           "TIFF grey of 1 samples with 64 floating-point bits",
		"half.tif":             "TIFF grey of 1 samples with 16 floating-point bits",
		"rgb-float.tif":        "TIFF RGB of 3 samples with 32 floating-point bits",
		"rgb4.tif":             "TIFF RGB of 3 samples with 4 bits",
		"la-premultiplied.tif": "TIFF grey of 2 samples with 8 bits",
		"ycbcr-2x2-1.tif":      "TIFF YCbCr in planes, or subsampled without compression",
		"header-16.bmp":        "BMP with a header of 16 bytes",
		"jpeg-inside.bmp":      "BMP with JPEG inside",
		"fields-444.bmp":       "BMP of 16 bits with bit fields f00, f0, f",
		"fields-32-10bit.bmp":  "BMP of 32 bits with bit fields 3ff00000, ffc00, 3ff",
		"rle8-early.bmp":       "BMP with run-length encoding that ends before the last row",
		"twelve-bit.jpg":       "12-bit JPEG",
		"hierarchical.jpg":     "hierarchical JPEG",
		"two-components.jpg":   "JPEG with 2 components",
		"ios.png":              "PNG in Apple's form for iOS",
	} {
		_, err := d.Decode(&pixels.Image{}, read(t, filepath.Join("testdata", "variants", file)))
		if !errors.Is(err, pixels.ErrNotSupported) || err.Error() != "not supported: "+want {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}

// TestNamedJPEG names the kinds of JPEG that a decoder may not read: Go's does not.
func TestNamedJPEG(t *testing.T) {
	d := pixels.NewDecoder(pixels.DecodeConfig{PureGo: true})
	defer d.Close()
	data := read(t, "testdata/images/jpeg-444.jpg")
	at := bytes.Index(data, []byte("\xff\xc0\x00\x11"))
	for marker, want := range map[byte]string{0xc9: "JPEG with arithmetic coding", 0xc3: "lossless JPEG"} {
		file := bytes.Clone(data)
		file[at+1] = marker
		_, err := d.Decode(&pixels.Image{}, file)
		if !errors.Is(err, pixels.ErrNotSupported) || !strings.HasPrefix(err.Error(), "not supported: "+want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := d.Decode(&pixels.Image{}, file[:at+200]); err == nil || errors.Is(err, pixels.ErrNotSupported) {
			t.Errorf("%s, cut short: error %v", want, err)
		}
	}
}

// TestDamaged says of a file that is cut short or makes no sense that it is so, and
// not that its kind is not supported.
func TestDamaged(t *testing.T) {
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	for file, want := range map[string]string{
		"p4-short.pbm":          "pbm: the file is truncated",
		"p3-short.ppm":          "ppm: the file is truncated",
		"p3-over.ppm":           "ppm: \"101\" where a number from 0 to 100 should be",
		"p6-bomb.ppm":           "a decompression bomb?",
		"p6-max0.ppm":           "the largest sample is 0",
		"short-24.bmp":          "bmp: the file is truncated",
		"rle8-cut.bmp":          "bmp: the file is truncated",
		"wide.bmp":              "a decompression bomb?",
		"cut.tif":               "tiff: the file is truncated",
		"bomb.tif":              "a decompression bomb?",
		"too-short.gif":         "gif: the file is truncated",
		"no-frame.gif":          "gif: there is no image in the file",
		"animated-cut.webp":     "webp: the file is truncated",
		"animated-outside.webp": "webp: the first frame lies outside of the canvas",
	} {
		_, err := d.Decode(&pixels.Image{}, read(t, filepath.Join("testdata", "variants", file)))
		if err == nil || errors.Is(err, pixels.ErrNotSupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}

// TestByteOrder reads numbers in both byte orders.
func TestByteOrder(t *testing.T) {
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	decode := func(file string) []uint8 {
		var m pixels.Image
		if _, err := d.Decode(&m, read(t, filepath.Join("testdata", "variants", file))); err != nil {
			t.Fatal(file, err)
		}
		return m.Pix
	}
	for _, kind := range []string{"float", "int16", "int32"} {
		want := decode(kind + "-ii-1.tif")
		for _, variant := range []string{"-mm-1.tif", "-ii-8.tif", "-mm-8.tif", "-mm-32773.tif"} {
			if !slices.Equal(decode(kind+variant), want) {
				t.Errorf("%s%s has other pixels than %s-ii-1.tif", kind, variant, kind)
			}
		}
	}
}

// TestBeyondPillow reads two kinds of file that Pillow refuses: BMP of 2 bits and
// BigTIFF in big-endian order.
func TestBeyondPillow(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	bmp := append([]byte("BM"), make([]byte, 52)...)
	for at, v := range map[int]uint32{10: 70, 14: 40, 18: 3, 22: 1} {
		le.PutUint32(bmp[at:], v)
	}
	bmp[26], bmp[28] = 1, 2
	bmp = append(bmp, "\x00\x00\x00\x00\x03\x02\x01\x00\x06\x05\x04\x00\x09\x08\x07\x00\x6c\x00\x00\x00"...) // 1, 2, 3
	tiff := be.AppendUint64([]byte("MM\x00+\x00\x08\x00\x00"), 16)
	tiff = be.AppendUint64(tiff, 6)
	for _, tag := range [][2]uint16{{256, 3}, {257, 1}, {258, 8}, {262, 1}, {273, 152}, {279, 3}} {
		tiff = be.AppendUint64(append(tiff, byte(tag[0]>>8), byte(tag[0]), 0, 3), 1)
		tiff = append(tiff, byte(tag[1]>>8), byte(tag[1]), 0, 0, 0, 0, 0, 0)
	}
	tiff = append(be.AppendUint64(tiff, 0), 10, 20, 30)
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	for name, c := range map[string]struct{ file, want []byte }{
		"bmp":  {bmp, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"tiff": {tiff, []byte{10, 10, 10, 20, 20, 20, 30, 30, 30}},
	} {
		var m pixels.Image
		if _, err := d.Decode(&m, c.file); err != nil || !bytes.Equal(m.Pix, c.want) {
			t.Errorf("%s: %v, error %v, want %v", name, m.Pix, err, c.want)
		}
	}
}
