package data_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/data"
)

// photo is a JPEG file with an EXIF orientation.
func photo(w, h int, orientation byte) string {
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewGray(image.Rect(0, 0, w, h)), nil); err != nil {
		panic(err)
	}
	exif := "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(rune(orientation)) + "\x00\x00\x00\x00\x00\x00"
	return "\xff\xd8\xff\xe1\x00" + string(rune(len(exif)+2)) + exif + plain.String()[2:]
}

// TestCheckSizes compares the sizes that the data say with those of the files, which EXIF
// may turn.
func TestCheckSizes(t *testing.T) {
	images := `{"id": 1, "file_name": "a.png", "width": 40, "height": 30}`
	for i, name := range []string{"turned.jpg", "upright.jpg", "other.jpg", "damaged.jpg", "lost.jpg", "unknown.jpg"} {
		images += "," + strings.NewReplacer(`"id": 1`, `"id": `+string(rune('2'+i)), "a.png", name).Replace(goodImage)
	}
	images = strings.Replace(images, `"unknown.jpg", "width": 40, "height": 30`, `"unknown.jpg"`, 1)
	set := cocoOf(images, goodObject, goodCategories).with(files{
		"train/turned.jpg": photo(30, 40, 6), "train/upright.jpg": photo(40, 30, 6), "train/other.jpg": photo(30, 40, 1),
		"train/damaged.jpg": photo(40, 30, 1)[:60], "train/unknown.jpg": photo(16, 8, 8),
	})
	s := open(t, set.folder(t))
	for range 2 { // the second time counts nothing twice
		if err := s.CheckSizes(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for kind, n := range map[data.Kind]int{data.ImageTurned: 1, data.ImageSizeDiffers: 1, data.ImageUnread: 1, data.ImageLost: 1, data.ImageSize: 1} {
		if s.Count(kind) != n {
			t.Errorf("%s: %d, want %d (%v)", kind, s.Count(kind), n, s.Findings)
		}
	}
	for i, img := range s.Images {
		if img.Turned != (i == 1) {
			t.Errorf("%s: turned %v", img.Name, img.Turned)
		}
	}
	if u := s.Images[6]; u.Width != 16 || u.Height != 8 {
		t.Errorf("%s: %dx%d", u.Name, u.Width, u.Height)
	}
}

// TestYOLOTurned places the boxes of YOLO in the image as EXIF turns it.
func TestYOLOTurned(t *testing.T) {
	s := open(t, files{"classes.txt": "cat\n", "images/a.jpg": photo(32, 64, 6), "labels/a.txt": "0 .5 .5 .5 .25\n"}.folder(t))
	img := s.Images[0]
	if img.Width != 64 || img.Height != 32 || !img.Turned || img.Objects[0].Box != [4]float64{16, 12, 48, 20} || s.Count(data.ImageTurned) != 1 {
		t.Errorf("%+v, %v", img, s.Findings)
	}
}
