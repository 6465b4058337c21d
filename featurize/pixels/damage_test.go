package pixels_test

import (
	"bytes"
	"image/jpeg"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/assets/photos"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// TestAfterDamage cuts a JPEG file, or damages its headers, at many places, and
// checks that the decoder's next image is none the worse.
func TestAfterDamage(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, photos.Draw(1, 40, 30), nil); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	var want, got pixels.Image
	if _, err := d.Decode(&want, good); err != nil {
		t.Fatal(err)
	}
	try := func(what string, n int, data []byte, refused bool) {
		t.Helper()
		if _, err := d.Decode(&got, data); (err == nil) && refused {
			t.Errorf("%s at %d: no error", what, n)
		}
		if _, err := d.Decode(&got, good); err != nil || !slices.Equal(got.Pix, want.Pix) {
			t.Fatalf("after a file that is %s at %d: error %v, or other pixels", what, n, err)
		}
	}
	for n := 3; n < len(good); n += 7 {
		try("cut", n, good[:n], true)
	}
	for n := 3; n < min(700, len(good)); n += 5 {
		bad := slices.Clone(good)
		bad[n] ^= 0x55
		try("damaged", n, bad, false)
	}
}
