package pixels_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// ftyp is the first box of a file in ISO's container.
func ftyp(brands ...string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(12+4*len(brands)))
	b = append(b, "ftyp"+brands[0]+"\x00\x00\x00\x00"+strings.Join(brands[1:], "")...)
	return string(b) + "\x00\x00\x00\x08meta"
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		head, name string
		decodable  bool
	}{
		{"\xff\xd8\xff\xe0\x00\x10JFIF", "jpeg", true},
		{"\x89PNG\r\n\x1a\n", "png", true},
		{"GIF89a\x01\x00", "gif", true},
		{"RIFF\x10\x00\x00\x00WEBPVP8X", "webp", true},
		{"RIFF\x10\x00\x00\x00WAVEfmt ", "", false},
		{"BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", "bmp", true},
		{"BMW is a maker of cars and motorcycles", "", false},
		{"II*\x00\x08\x00\x00\x00", "tiff", true},
		{"MM\x00+\x00\x08\x00\x00", "tiff", true},
		{"II*\x00\x10\x00\x00\x00CR\x02\x00", "cr2", false},
		{"IIIIII", "", false},
		{"P6\n# by GIMP\n4 4\n255\n", "ppm", true},
		{"P5 4 4 255 ", "pgm", true},
		{"P1\n4", "pbm", true},
		{"P3 of the report", "", false},
		{"P7\nWIDTH 4\n", "pam", false},
		{ftyp("heic", "mif1", "heic"), "heic", false},
		{ftyp("mif1", "mif1", "heic"), "heic", false},
		{ftyp("mif1", "avif", "miaf"), "avif", false},
		{ftyp("mif1", "miaf"), "heif", false},
		{ftyp("avif", "mif1"), "avif", false},
		{ftyp("isom", "mp41"), "", false}, // a film
		{"\xff\x0a\x00\x00", "jpeg xl", false},
		{"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg 2000", false},
		{strings.Repeat("\x00", 128) + "DICM", "dicom", false},
		{"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x20\x00\x68\x04\x00\x00\x16\x00\x00\x00", "ico", false},
		{"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg xmlns=", "svg", false},
		{"<?xml version=\"1.0\"?><annotation>", "", false},
		{"", "", false},
		{"hello, world", "", false},
	} {
		if name, decodable := pixels.Format([]byte(c.head)); name != c.name || decodable != c.decodable {
			t.Errorf("%.20q is %q, %v, want %q, %v", c.head, name, decodable, c.name, c.decodable)
		}
	}
}

// TestFormatIsNamed says what a file of another format is.
func TestFormatIsNamed(t *testing.T) {
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	_, err := d.Decode(&pixels.Image{}, []byte(ftyp("heic", "mif1")))
	if !errors.Is(err, pixels.ErrNotSupported) || err.Error() != "not supported: HEIC" {
		t.Errorf("error %v", err)
	}
	if _, err := d.Decode(&pixels.Image{}, []byte("hello, world")); err == nil || errors.Is(err, pixels.ErrNotSupported) {
		t.Errorf("a text: error %v", err)
	}
}

// TestFormatOfFiles compares with the names of the files of the test data.
func TestFormatOfFiles(t *testing.T) {
	want := map[string]string{".jpg": "jpeg", ".tif": "tiff"}
	files, _ := filepath.Glob("testdata/*/*.*")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		format := want[filepath.Ext(file)]
		if format == "" {
			format = filepath.Ext(file)[1:]
		}
		if name, _ := pixels.Format(b[:min(len(b), pixels.FormatBytes)]); name != format && len(b) > 2 {
			t.Errorf("%s is %q", file, name)
		}
	}
}
