package pixels_test

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// TestSize compares with the size of what is decoded, for all files of the test data and
// for their beginnings.
func TestSize(t *testing.T) {
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	upright := pixels.NewDecoder(pixels.DecodeConfig{ExifRotate: true})
	defer upright.Close()
	n, turned := 0, 0
	files := map[string][]byte{}
	for orientation := byte(1); orientation <= 8; orientation++ {
		files[fmt.Sprint("orientation ", orientation)] = withExif(t, orientation)
	}
	for _, dir := range []string{"images", "variants"} {
		names, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			files[name] = read(t, name)
		}
	}
	for name, data := range files {
		var m pixels.Image
		if _, err := d.Decode(&m, data); err != nil {
			continue
		}
		n++
		w, h, orientation, err := pixels.Size(data)
		if err != nil || w != m.Width || h != m.Height {
			t.Errorf("%s: %dx%d, %v, want %dx%d", name, w, h, err, m.Width, m.Height)
		}
		if _, err := upright.Decode(&m, data); err != nil {
			t.Fatal(err)
		}
		if orientation >= 5 {
			w, h = h, w
			turned++
		}
		if w != m.Width || h != m.Height {
			t.Errorf("%s, turned: %dx%d, orientation %d, want %dx%d", name, w, h, orientation, m.Width, m.Height)
		}
		for cut := range min(len(data), 200) {
			if w, h, _, err := pixels.Size(data[:cut]); err == nil && (w < 1 || h < 1) {
				t.Errorf("%s, %d bytes: %dx%d", name, cut, w, h)
			}
		}
	}
	if n < 300 || turned != 4 {
		t.Errorf("%d files, %d of them turned: too few to show anything", n, turned)
	}
}

// withExif is a JPEG file of 16x8 with an EXIF orientation.
func withExif(t *testing.T, orientation byte) []byte {
	t.Helper()
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewGray(image.Rect(0, 0, 16, 8)), nil); err != nil {
		t.Fatal(err)
	}
	exif := "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string([]byte{orientation}) + "\x00\x00\x00\x00\x00\x00"
	return []byte("\xff\xd8\xff\xe1" + string([]byte{0, byte(len(exif) + 2)}) + exif + plain.String()[2:])
}
