package corrupt

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"io"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// stream is the stream of random numbers of testdata/corrupt.py.
type stream struct{ state uint64 }

func (s *stream) uniform() float64 {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

func (s *stream) normal() float64 {
	sum := 0.0
	for range 12 {
		sum += s.uniform()
	}
	return sum - 6
}

func (s *stream) below(n int) int { return int(s.uniform() * float64(n)) }

func (s *stream) poisson(mean float64) func() float64 {
	return func() float64 { return float64(int(2 * mean * s.uniform())) }
}

// drawing is the image of testdata/corrupt.py.
func drawing(w, h int) *pixels.Image {
	m := &pixels.Image{Width: w, Height: h, Pix: make([]uint8, w*h*3)}
	for y := range h {
		for x := range w {
			p := []int{x * 255 / w, y * 255 / h, (x + 2*y) * 5 % 256}
			if a, b, r := x-w/3, y-h/2, min(w, h)/4; a*a+b*b < r*r {
				p = []int{250, 240, 60 + x*y%90}
			}
			if w/2 <= x && x < w/2+3 {
				p = []int{10, 0, 30}
			}
			for c, v := range p {
				if y > 3*h/4 && (x+y)%2 == 1 {
					v = 255 - v
				}
				m.Pix[(y*w+x)*3+c] = uint8(v)
			}
		}
	}
	return m
}

// golden is what a reference makes of a drawing.
type golden struct {
	Width, Height, Severity, Step int
	Kind                          Kind
	Pixels                        []byte  // every Step-th byte, compressed
	Drawn                         float64 // the next random number
}

// TestReferences compares with the references' pixels, from the same random numbers. One
// step of 8 bits of difference may come from sums in another order, whose fraction is
// then cut off: of at most 0.5 % of the bytes.
func TestReferences(t *testing.T) {
	for _, file := range []struct {
		name  string
		small bool
	}{{"imagenet.json", false}, {"cifar.json", true}} {
		var all []golden
		data, err := os.ReadFile("testdata/" + file.name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		if len(all) < 14*Severities {
			t.Errorf("%s has %d images", file.name, len(all))
		}
		for _, g := range all {
			compare(t, g, file.small)
		}
	}
}

func compare(t *testing.T, g golden, small bool) {
	r, err := zlib.NewReader(bytes.NewReader(g.Pixels))
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	m, from := drawing(g.Width, g.Height), &stream{}
	for _, d := range corruptions {
		if d.kind == g.Kind {
			d.apply(&work{m.Width, m.Height, m.Pix, g.Severity - 1, small, from})
		}
	}
	differ, largest := 0, 0
	for i, v := range want {
		if d := max(v, m.Pix[i*g.Step]) - min(v, m.Pix[i*g.Step]); d > 0 {
			differ, largest = differ+1, max(largest, int(d))
		}
	}
	share := float64(differ) / float64(len(want))
	t.Logf("%s %d %dx%d cifar %v: %d of %d differ, by up to %d", g.Kind, g.Severity, g.Width, g.Height, small, differ, len(want), largest)
	if largest > 1 || share > 0.005 {
		t.Errorf("%s %d %dx%d cifar %v: %d of %d differ, by up to %d", g.Kind, g.Severity, g.Width, g.Height, small, differ, len(want), largest)
	}
	if next := from.uniform(); next != g.Drawn {
		t.Errorf("%s %d: other random numbers are used: the next is %v, want %v", g.Kind, g.Severity, next, g.Drawn)
	}
}
