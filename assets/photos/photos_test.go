package photos_test

import (
	"bytes"
	"image/jpeg"
	"testing"

	"github.com/robust-transfer/rtx/assets/photos"
)

// TestDraw checks that images encode to the size of photographs: those of ImageNet
// with 500x375 pixels have about 110 kB, most of them between 40 and 200.
func TestDraw(t *testing.T) {
	for seed := range uint64(4) {
		m := photos.Draw(seed, 500, 375)
		var b bytes.Buffer
		if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
			t.Fatal(err)
		}
		t.Log(b.Len())
		if b.Len() < 40_000 || b.Len() > 200_000 {
			t.Errorf("seed %d: %d bytes", seed, b.Len())
		}
		if !bytes.Equal(photos.Draw(seed, 500, 375).Pix, m.Pix) || bytes.Equal(photos.Draw(seed+9, 500, 375).Pix, m.Pix) {
			t.Errorf("seed %d does not make the picture", seed)
		}
	}
}
