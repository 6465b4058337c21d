package foreign

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// drawn is the image of slopes, steps and texture in testdata/letterbox.py.
func drawn(w, h int) *pixels.Image {
	m := &pixels.Image{Width: w, Height: h}
	for y := range h {
		for x := range w {
			for c := range 3 {
				m.Pix = append(m.Pix, uint8(x*(3+c)+y*(5-c)+(x*y>>3)*(c+1)+(x^y)*2))
			}
		}
	}
	return m
}

// TestLetterbox compares pixels with Ultralytics' LetterBox and OpenCV.
func TestLetterbox(t *testing.T) {
	f, err := os.Open("testdata/letterbox.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var w, h, height, width, stride int
		var want string
		if _, err := fmt.Sscan(lines.Text(), &w, &h, &height, &width, &stride, &want); err != nil {
			t.Fatal(err)
		}
		fit := Fit{Way: Letterbox, Filter: OpenCV, Size: [2]int{height, width}, Open: stride > 0, Rect: stride > 0, Multiple: stride}
		p, err := fit.place(&pixels.Resampler{}, drawn(w, h))
		if err != nil {
			t.Fatal(err)
		}
		s := sha256.New()
		fmt.Fprintf(s, "%d %d\n", p.width, p.height)
		s.Write(p.pix)
		if got := hex.EncodeToString(s.Sum(nil)); got != want {
			t.Errorf("%dx%d in %dx%d, stride %d: %dx%d, the digest differs", w, h, width, height, stride, p.width, p.height)
		}
	}
	if n < 70 {
		t.Errorf("only %d cases", n)
	}
}

// TestOtherFits checks the sizes of images that are not put in a letterbox. Those by the
// shorter side are of get_size_with_aspect_ratio of transformers 5.24.
func TestOtherFits(t *testing.T) {
	shortest := Fit{Way: Shortest, Filter: Pillow, MinSize: 800, MaxSize: 1333}
	for _, c := range []struct {
		fit                         Fit
		w, h, width, height, nw, nh int
	}{
		{shortest, 640, 480, 1066, 800, 1066, 800},
		{shortest, 480, 640, 800, 1066, 800, 1066},
		{shortest, 1000, 200, 1333, 267, 1333, 267},
		{shortest, 500, 333, 1201, 800, 1201, 800},
		{shortest, 97, 64, 1212, 800, 1212, 800},
		{shortest, 31, 40, 800, 1032, 800, 1032},
		{shortest, 63, 250, 336, 1333, 336, 1333},
		{shortest, 800, 800, 800, 800, 800, 800},
		{Fit{Way: Corner, Size: [2]int{416, 416}}, 640, 480, 416, 416, 416, 312},
		{Fit{Way: Stretch, Size: [2]int{300, 200}}, 640, 480, 200, 300, 200, 300},
		{Fit{Way: Whole}, 640, 480, 640, 480, 640, 480},
	} {
		if p := c.fit.geometry(c.w, c.h); p.width != c.width || p.height != c.height || p.w != c.nw || p.h != c.nh {
			t.Errorf("%s: %dx%d is %dx%d in %dx%d, want %dx%d in %dx%d", c.fit, c.w, c.h, p.w, p.h, p.width, p.height, c.nw, c.nh, c.width, c.height)
		}
	}
}

// TestSized asks for other sizes of the input.
func TestSized(t *testing.T) {
	letterbox := Fit{Way: Letterbox, Size: [2]int{640, 640}, Open: true, Multiple: 32}
	shortest := Fit{Way: Shortest, Filter: Pillow, Open: true, MinSize: 800, MaxSize: 1333}
	for _, c := range []struct {
		fit  Fit
		size [2]int
		want Fit
		fits bool
	}{
		{letterbox, [2]int{640, 640}, letterbox, true},
		{letterbox, [2]int{500, 320}, Fit{Way: Letterbox, Size: [2]int{512, 320}, Open: true, Multiple: 32}, true},
		{shortest, [2]int{}, shortest, true},
		{shortest, [2]int{300, 400}, Fit{Way: Stretch, Filter: Pillow, Open: true, MinSize: 800, MaxSize: 1333, Size: [2]int{300, 400}}, true},
		{Fit{Way: Letterbox, Size: [2]int{640, 640}, Multiple: 32}, [2]int{320, 320}, Fit{}, false},
		{Fit{Way: Whole, Open: true}, [2]int{320, 320}, Fit{}, false},
	} {
		if got, err := c.fit.sized(c.size); (err == nil) != c.fits || c.fits && got != c.want {
			t.Errorf("%s at %v: %+v, %v", c.fit, c.size, got, err)
		}
	}
}
