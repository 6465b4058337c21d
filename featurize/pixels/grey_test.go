package pixels_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// TestGrey compares with convert("L") of Pillow 9.4.0 and Grayscale of torchvision
// 0.14.1, which are the same.
func TestGrey(t *testing.T) {
	colours := [][3]uint8{
		{0, 0, 0}, {255, 255, 255}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {1, 2, 3},
		{77, 77, 77}, {250, 128, 3}, {13, 200, 90}, {128, 127, 129}, {254, 255, 253}, {9, 8, 7},
	}
	want := []uint8{0, 255, 76, 150, 29, 2, 77, 150, 132, 128, 254, 8}
	m := image.NewNRGBA(image.Rect(0, 0, len(colours), 1))
	for i, c := range colours {
		m.Set(i, 0, color.NRGBA{c[0], c[1], c[2], 255})
	}
	var file bytes.Buffer
	if err := png.Encode(&file, m); err != nil {
		t.Fatal(err)
	}
	d := pixels.NewDecoder(pixels.DecodeConfig{Grey: true})
	defer d.Close()
	var got pixels.Image
	if _, err := d.Decode(&got, file.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if p := [3]uint8(got.Pix[3*i:]); p != [3]uint8{w, w, w} {
			t.Errorf("%v becomes %v, want three times %d", colours[i], p, w)
		}
	}
}
