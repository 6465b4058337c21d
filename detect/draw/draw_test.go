package draw_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

func grey(w, h int) *pixels.Image {
	return &pixels.Image{Width: w, Height: h, Pix: bytes.Repeat([]uint8{128}, w*h*3)}
}

func objects(t *testing.T, img *pixels.Image, o []draw.Object, c draw.Config) *image.RGBA {
	t.Helper()
	m, err := draw.Objects(img, o, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		w, h, side int
		want       image.Point
	}{
		{32, 32, 0, image.Pt(416, 416)}, {32, 32, 32, image.Pt(32, 32)}, {256, 100, 0, image.Pt(512, 200)}, {1, 1, 0, image.Pt(400, 400)},
		{640, 480, 0, image.Pt(640, 480)}, {640, 480, 320, image.Pt(320, 240)}, {3000, 2, 300, image.Pt(300, 1)}, {100, 50, 150, image.Pt(150, 75)},
	} {
		img := grey(c.w, c.h)
		o := []draw.Object{{Box: box.Box{0, 0, float32(c.w), float32(c.h)}, Class: "cat", Score: .5}}
		if got := objects(t, img, o, draw.Config{Side: c.side}).Rect.Max; got != c.want {
			t.Errorf("%dx%d, side %d: a picture of %v, want %v", c.w, c.h, c.side, got, c.want)
		}
		if !bytes.Equal(img.Pix, grey(c.w, c.h).Pix) {
			t.Errorf("%dx%d: the image was changed", c.w, c.h)
		}
	}
}

// runs returns the lengths of the runs of a colour along a row of pixels.
func runs(m *image.RGBA, y int, c color.RGBA) []int {
	var out []int
	n := 0
	for x := range m.Rect.Dx() + 1 {
		if x < m.Rect.Dx() && m.RGBAAt(x, y) == c {
			n++
		} else if n > 0 {
			out, n = append(out, n), 0
		}
	}
	return out
}

func TestLineStyles(t *testing.T) {
	strokes := map[draw.Kind][]int{}
	for _, kind := range []draw.Kind{draw.Plain, draw.Matched, draw.Missed, draw.False, draw.Ignored} {
		o := []draw.Object{{Box: box.Box{100, 100, 400, 300}, Class: "cat", Kind: kind}}
		m := objects(t, grey(640, 480), o, draw.Config{NoLabels: true})
		strokes[kind] = runs(m, 100, draw.Colours{}.Of("cat"))
		// Every line goes from corner to corner, whatever its style.
		for _, corner := range []image.Point{{100, 100}, {399, 100}, {100, 299}, {399, 299}} {
			if m.RGBAAt(corner.X, corner.Y) != (draw.Colours{}).Of("cat") {
				t.Errorf("kind %d: no line at the corner %v", kind, corner)
			}
		}
	}
	if len(strokes[draw.Plain]) != 1 || strokes[draw.Plain][0] != 300 || len(strokes[draw.Matched]) != 1 {
		t.Errorf("solid lines are of strokes %v and %v", strokes[draw.Plain], strokes[draw.Matched])
	}
	longest := func(k draw.Kind) (least, most int) {
		least = math.MaxInt
		for _, n := range strokes[k] {
			least, most = min(least, n), max(most, n)
		}
		return least, most
	}
	dash, _ := longest(draw.Missed)
	_, dot := longest(draw.False)
	short, long := longest(draw.Ignored)
	if len(strokes[draw.Missed]) < 5 || dash < 2*dot || long < 2*short || len(strokes[draw.False]) < 2*len(strokes[draw.Missed]) {
		t.Errorf("dashes %v, dots %v, both %v cannot be told apart", strokes[draw.Missed], strokes[draw.False], strokes[draw.Ignored])
	}
}

func TestMask(t *testing.T) {
	// Columns 100 to 199, rows 50 to 149, of an image 400 wide and 200 high.
	m := &mask.RLE{H: 200, W: 400, Counts: []uint32{100*200 + 50}}
	for range 99 {
		m.Counts = append(m.Counts, 100, 100)
	}
	m.Counts = append(m.Counts, 100, 200*200+50)
	o := []draw.Object{{Box: box.Box{0, 0, 400, 200}, Mask: m, Class: "cat"}}
	for _, side := range []int{0, 200} {
		p := objects(t, grey(400, 200), o, draw.Config{NoLabels: true, Side: side})
		scale := float64(p.Rect.Dx()) / 400
		at := func(x, y int) color.RGBA { return p.RGBAAt(int(float64(x)*scale), int(float64(y)*scale)) }
		c := draw.Colours{}.Of("cat")
		plain := color.RGBA{128, 128, 128, 255}
		if at(150, 100) == plain || at(150, 100) == c {
			t.Errorf("side %d: within the mask %v, want a tint", side, at(150, 100))
		}
		if at(90, 100) != plain || at(210, 100) != plain || at(150, 40) != plain || at(150, 160) != plain {
			t.Errorf("side %d: pixels outside of the mask are changed", side)
		}
		if at(100, 100) != c || at(150, 50) != c {
			t.Errorf("side %d: the edge of the mask is %v and %v, want %v", side, at(100, 100), at(150, 50), c)
		}
	}
	if _, err := draw.Objects(grey(200, 400), o, draw.Config{}); err == nil {
		t.Error("a mask of another size was drawn")
	}
	broken := &mask.RLE{H: 200, W: 400, Counts: []uint32{10, 1 << 31, 5, 7}}
	objects(t, grey(400, 200), []draw.Object{{Mask: broken}}, draw.Config{}) // runs beyond the end
}

// Boxes that no image should have are drawn at the border or left out.
func TestOddBoxes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, b := range []box.Box{
		{-500, -500, -400, -400}, {9000, 9000, 9100, 9100}, {5, 5, 5, 5}, {300, 200, 100, 50}, {-1e30, -1e30, 1e30, 1e30}, {639.9, 479.9, 640, 480}, {10.2, 10.2, 10.4, 10.4},
	} {
		m := objects(t, grey(640, 480), []draw.Object{{Box: b, Class: "cat"}}, draw.Config{})
		if bytes.Count(m.Pix, []byte{128, 128, 128, 255}) == 640*480 {
			t.Errorf("%v: nothing was drawn", b)
		}
	}
	for _, b := range []box.Box{{nan, 0, 5, 5}, {0, 0, inf, 5}} {
		m := objects(t, grey(640, 480), []draw.Object{{Box: b, Class: "cat"}}, draw.Config{})
		if bytes.Count(m.Pix, []byte{128, 128, 128, 255}) != 640*480 {
			t.Errorf("%v was drawn", b)
		}
	}
	if _, err := draw.Objects(&pixels.Image{}, nil, draw.Config{}); err == nil {
		t.Error("an empty image was drawn")
	}
}

func TestFiles(t *testing.T) {
	m := objects(t, grey(500, 300), []draw.Object{{Box: box.Box{5, 5, 50, 50}, Class: "cat"}}, draw.Config{})
	var b bytes.Buffer
	if err := draw.JPEG(&b, m); err != nil {
		t.Fatal(err)
	}
	back, err := jpeg.Decode(&b)
	if err != nil || back.Bounds() != m.Rect {
		t.Fatalf("JPEG: %v, %v", back, err)
	}
	b.Reset()
	if err := draw.PNG(&b, m); err != nil {
		t.Fatal(err)
	}
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	var img pixels.Image
	if _, err := d.Decode(&img, b.Bytes()); err != nil || !bytes.Equal(img.Pix, draw.Pixels(m).Pix) {
		t.Errorf("PNG and Pixels differ, or %v", err)
	}
}
