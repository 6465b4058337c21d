package detect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"iter"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// whole finds one object in each image, which fills it.
type whole struct{ fails string }

func (w whole) Classes() []onnx.DetectClass { return []onnx.DetectClass{{ID: 1, Name: "image"}} }

func (w whole) Detect(ctx context.Context, img *pixels.Image) ([]detect.Detection, error) {
	if w.fails != "" {
		return nil, errors.New(w.fails)
	}
	return []detect.Detection{{Box: box.Box{0, 0, float32(img.Width), float32(img.Height)}, Score: 1}}, ctx.Err()
}

// photo is a JPEG file with an EXIF orientation; 0: without EXIF.
func photo(t *testing.T, w, h, orientation int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	img.Set(0, 0, color.White)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	if orientation == 0 {
		return b.Bytes()
	}
	tiff := []byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	binary.BigEndian.PutUint16(tiff[24:], uint16(orientation))
	segment := append([]byte{0xff, 0xe1, 0, byte(len(tiff) + 2)}, tiff...)
	return slices.Concat(b.Bytes()[:2], segment, b.Bytes()[2:])
}

func samples(files ...[]byte) iter.Seq2[featurize.Sample, error] {
	return func(yield func(featurize.Sample, error) bool) {
		for i, data := range files {
			s := featurize.Sample{Path: fmt.Sprint(i), Read: func(dst []byte) ([]byte, error) { return append(dst, data...), nil }}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// TestImages keeps images in order, tells those that cannot be used, and turns one only
// where its data set has the turned size.
func TestImages(t *testing.T) {
	files := [][]byte{photo(t, 8, 4, 0), []byte("no image"), photo(t, 8, 4, 6), photo(t, 8, 4, 6), photo(t, 6, 6, 0)}
	sizes := [][2]int{{8, 4}, {9, 9}, {4, 8}, {8, 4}, {0, 0}}
	var got []string
	emit := func(r detect.ImageResult) error {
		line := "bad"
		if r.Err == nil {
			line = fmt.Sprint(r.Detections[0].Box, r.Turned)
		}
		got = append(got, r.Sample.Path+" "+line)
		return nil
	}
	c := detect.ImagesConfig{Workers: 3, Size: func(s featurize.Sample) (int, int) {
		i := int(s.Path[0] - '0')
		return sizes[i][0], sizes[i][1]
	}}
	if err := detect.Images(t.Context(), whole{}, samples(files...), c, emit); err != nil {
		t.Fatal(err)
	}
	want := []string{"0 [0 0 8 4] false", "1 bad", "2 [0 0 4 8] true", "3 [0 0 8 4] false", "4 [0 0 6 6] false"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	got = nil
	c = detect.ImagesConfig{Decode: pixels.DecodeConfig{ExifRotate: true}}
	if err := detect.Images(t.Context(), whole{}, samples(files[2]), c, emit); err != nil || got[0] != "0 [0 0 4 8] false" {
		t.Errorf("with ExifRotate %q, %v", got, err)
	}
}

// TestImagesEnd ends a run by errors of the detector, of emit and of the source, and by
// its context, which keeps the image at work.
func TestImagesEnd(t *testing.T) {
	file := photo(t, 8, 4, 0)
	many := slices.Repeat([][]byte{file}, 50)
	stop := errors.New("stop")
	n := 0
	count := func(detect.ImageResult) error { n++; return nil }
	if err := detect.Images(t.Context(), whole{"broken"}, samples(many...), detect.ImagesConfig{}, count); err == nil || n != 0 || err.Error() != `"0": broken` {
		t.Errorf("a detector that fails: %v, %d images", err, n)
	}
	if err := detect.Images(t.Context(), whole{}, samples(many...), detect.ImagesConfig{Workers: 2}, func(detect.ImageResult) error { return stop }); err != stop {
		t.Errorf("emit fails: %v", err)
	}
	broken := func(yield func(featurize.Sample, error) bool) { yield(featurize.Sample{}, stop) }
	if err := detect.Images(t.Context(), whole{}, broken, detect.ImagesConfig{}, count); err != stop {
		t.Errorf("the source fails: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	n = 0
	err := detect.Images(ctx, whole{}, samples(many...), detect.ImagesConfig{Workers: 2}, func(detect.ImageResult) error {
		if n++; n == 3 {
			cancel(stop)
		}
		return nil
	})
	if err != stop || n != 3 {
		t.Errorf("a context that ends: %v after %d images, want 3", err, n)
	}
}
