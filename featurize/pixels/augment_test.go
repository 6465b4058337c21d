package pixels_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// drawn is the image of slopes, steps and texture in testdata/augment.py.
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

// cube is an image of every step-th colour of the RGB cube.
func cube(step int) *pixels.Image {
	n := (255 + step) / step
	m := &pixels.Image{Width: n, Height: n * n}
	for r := 0; r < 256; r += step {
		for g := 0; g < 256; g += step {
			for b := 0; b < 256; b += step {
				m.Pix = append(m.Pix, uint8(r), uint8(g), uint8(b))
			}
		}
	}
	return m
}

func sum(w, h int, pix []uint8) string {
	s := sha256.New()
	fmt.Fprintf(s, "%d %d\n", w, h)
	s.Write(pix)
	return hex.EncodeToString(s.Sum(nil))
}

// golden calls each with the columns of every line of a table in testdata.
func golden(t *testing.T, file string, each func(c []string, n func(i int) int)) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			t.Log(lines.Text())
			continue
		}
		c := strings.Split(lines.Text(), "\t")
		each(c, func(i int) int {
			n, err := strconv.Atoi(c[i])
			if err != nil {
				t.Fatal(err)
			}
			return n
		})
	}
}

// TestResizedCrop compares with Pillow's crop and resize.
func TestResizedCrop(t *testing.T) {
	var r pixels.Resampler
	golden(t, "testdata/boxes.tsv", func(c []string, n func(int) int) {
		src := drawn(n(0), n(1))
		filter := map[string]pixels.Interpolation{"bilinear": pixels.Bilinear, "bicubic": pixels.Bicubic}[c[8]]
		box := image.Rect(n(2), n(3), n(2)+n(4), n(3)+n(5))
		dst := make([]uint8, n(6)*n(7)*3)
		if err := r.ResizedCrop(dst, n(6), n(7), src, box, filter); err != nil {
			t.Fatal(err)
		}
		if got := sum(n(6), n(7), dst); got != c[9] {
			t.Errorf("%s: digest %s differs", strings.Join(c[:9], " "), got)
		}
	})
}

// TestAdjustments compares with torchvision on PIL images.
func TestAdjustments(t *testing.T) {
	adjust := map[string]func([]uint8, float64){
		"brightness": pixels.Brightness, "contrast": pixels.Contrast, "saturation": pixels.Saturation, "hue": pixels.Hue,
	}
	file := "testdata/colours.tsv"
	if f := os.Getenv("RTX_COLOURS"); f != "" { // another step of the cube
		file = f
	}
	golden(t, file, func(c []string, n func(int) int) {
		m := drawn(301, 120)
		if c[0] == "cube" {
			m = cube(n(1))
		}
		f, err := strconv.ParseFloat(c[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		if c[2] == "flip" {
			pixels.Flip(m.Pix, m.Width)
		} else {
			adjust[c[2]](m.Pix, f)
		}
		if got := sum(m.Width, m.Height, m.Pix); got != c[4] {
			t.Errorf("%s: digest %s differs", strings.Join(c[:4], " "), got)
		}
	})
}

// TestResize checks that cropping the resized image gives what Apply gives.
func TestResize(t *testing.T) {
	var r pixels.Resampler
	for _, g := range []pixels.Geometry{
		{Resize: 40, CropCenter: true, Width: 32, Height: 30},
		{Width: 17, Height: 50, Interpolation: pixels.Bicubic},
		{PreResize: 20, Resize: 40, CropCenter: true, Width: 32, Height: 30},
	} {
		src := drawn(97, 64)
		want := make([]uint8, g.Width*g.Height*3)
		if err := r.Apply(want, src, g); err != nil {
			t.Fatal(err)
		}
		var m pixels.Image
		if err := r.Resize(&m, src, g); err != nil {
			t.Fatal(err)
		}
		x, y := (m.Width-g.Width)/2, (m.Height-g.Height)/2
		var got []uint8
		for row := range g.Height {
			got = append(got, m.Pix[((y+row)*m.Width+x)*3:][:g.Width*3]...)
		}
		if w, h := g.Resized(97, 64); w != m.Width || h != m.Height || !slices.Equal(got, want) {
			t.Errorf("%+v: %dx%d, the crop differs", g, m.Width, m.Height)
		}
	}
}

func TestResizedCropRefused(t *testing.T) {
	var r pixels.Resampler
	src, dst := drawn(10, 8), make([]uint8, 4*4*3)
	for _, b := range []image.Rectangle{image.Rect(0, 0, 11, 8), image.Rect(-1, 0, 5, 5), image.Rect(3, 3, 3, 5), {}} {
		if err := r.ResizedCrop(dst, 4, 4, src, b, pixels.Bilinear); err == nil || !strings.Contains(err.Error(), "box") {
			t.Errorf("box %v: error %v", b, err)
		}
	}
	if err := r.ResizedCrop(dst, 4, 5, src, image.Rect(0, 0, 4, 4), pixels.Bilinear); err == nil {
		t.Error("a destination of another size was taken")
	}
	if err := r.ResizedCrop(dst, 4, 4, &pixels.Image{Width: 2, Height: 2}, image.Rect(0, 0, 2, 2), pixels.Bilinear); err == nil {
		t.Error("a source without pixels was taken")
	}
}
