package mask_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/mask"
)

// FuzzParse reads strings, which gives an error or a mask that is written and read back
// as itself, and whose figures are those of its bitmap.
func FuzzParse(f *testing.F) {
	for i := range 20 {
		m := made(f, "bitmap", 3, i)
		f.Add(m.String(), m.H, m.W)
	}
	for _, s := range []string{"", "0", "PPPPPPP4", "211K", "4O", "`o1", "\\1"} {
		f.Add(s, 2, 4)
	}
	f.Fuzz(func(t *testing.T, s string, h, w int) {
		m, err := mask.Parse(s, h, w)
		if err != nil {
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		back, err := mask.Parse(m.String(), h, w)
		if err != nil || !slices.Equal(back.Counts, m.Counts) {
			t.Fatalf("%v comes back as %v, %v", m.Counts, back, err)
		}
		m.Bounds()
		if h*w > 1<<16 {
			return
		}
		checkBitmap(t, m)
		all, err := mask.Union(m, m)
		if err != nil || !slices.Equal(all.Bitmap(), m.Bitmap()) {
			t.Fatalf("the union of %v with itself is %v, %v", m.Counts, all, err)
		}
		want := 1.
		if m.Area() == 0 {
			want = 0
		}
		if got := mask.IoU(nil, []*mask.RLE{m}, []*mask.RLE{all}, nil); got[0] != want {
			t.Fatalf("IoU of %v with itself is %v", m.Counts, got)
		}
	})
}

// checkBitmap compares a mask's area and bounds with those of its bitmap.
func checkBitmap(t *testing.T, m *mask.RLE) {
	t.Helper()
	x0, y0, x1, y1, area := m.W, m.H, 0, 0, 0
	for i, p := range m.Bitmap() {
		if p == 1 {
			x, y := i/m.H, i%m.H
			x0, y0, x1, y1, area = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1), area+1
		}
	}
	want := [4]float64{float64(x0), float64(y0), float64(x1 - x0), float64(y1 - y0)}
	if area == 0 {
		want = [4]float64{}
	}
	if m.Area() != area || m.Bounds() != want {
		t.Fatalf("%v: area %d and bounds %v, of its bitmap %d and %v", m.Counts, m.Area(), m.Bounds(), area, want)
	}
}

// FuzzPolygon compares masks of polygons with dense, for coordinates that are not too
// far outside.
func FuzzPolygon(f *testing.F) {
	for i := range 30 {
		h, w, xy := polygon(3, i)
		var b []byte
		for _, v := range xy {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		f.Add(b, uint8(h), uint8(w))
	}
	f.Fuzz(func(t *testing.T, b []byte, rows, columns uint8) {
		h, w := int(rows), int(columns)
		var xy []float64
		near := true
		for ; len(b) >= 8; b = b[8:] {
			v := math.Float64frombits(binary.LittleEndian.Uint64(b))
			xy = append(xy, v)
			near = near && math.Abs(v) < 1e4
		}
		m, err := mask.FromPolygon(xy, h, w)
		if err != nil {
			if near && len(xy) > 0 && len(xy)%2 == 0 {
				t.Fatal(err)
			}
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		for i, c := range m.Counts {
			if i > 0 && c == 0 && h*w > 0 {
				t.Fatalf("%v has a run of length 0", m.Counts)
			}
		}
		if near && len(xy) < 100 && h > 0 && w > 0 {
			if want := dense(xy, h, w); !slices.Equal(m.Bitmap(), want.Bitmap()) {
				t.Fatalf("%v on %dx%d: %v, want %v", xy, h, w, m.Counts, want.Counts)
			}
		}
	})
}

// dense is the mask of a polygon by all points of its outline, on a grid of 5 to a
// pixel, the way that the outline goes.
func dense(xy []float64, h, w int) *mask.RLE {
	var us, vs []int
	n := len(xy) / 2
	for i := range n {
		k := (i + 1) % n
		x0, y0 := int(xy[2*i]*5+.5), int(xy[2*i+1]*5+.5)
		x1, y1 := int(xy[2*k]*5+.5), int(xy[2*k+1]*5+.5)
		dx, dy := max(x1-x0, x0-x1), max(y1-y0, y0-y1)
		flip := dx >= dy && x0 > x1 || dx < dy && y0 > y1
		if flip {
			x0, y0, x1, y1 = x1, y1, x0, y0
		}
		for d := range max(dx, dy) + 1 {
			if flip {
				d = max(dx, dy) - d
			}
			if dx >= dy {
				us, vs = append(us, x0+d), append(vs, int(float64(y0)+float64(float64(y1-y0)/float64(dx)*float64(d))+.5))
			} else {
				us, vs = append(us, int(float64(x0)+float64(float64(x1-x0)/float64(dy)*float64(d))+.5)), append(vs, y0+d)
			}
		}
	}
	toggled := make([]byte, h*w+1) // where runs begin
	for j := 1; j < len(us); j++ {
		if us[j] == us[j-1] {
			continue
		}
		x := (float64(min(us[j], us[j-1]))+.5)/5 - .5
		if x != math.Floor(x) || x < 0 || x > float64(w-1) {
			continue
		}
		y := (float64(min(vs[j], vs[j-1]))+.5)/5 - .5
		toggled[int(x)*h+int(math.Ceil(min(max(y, 0), float64(h))))] ^= 1
	}
	pix := make([]byte, h*w)
	inside := byte(0)
	for i := range pix {
		inside ^= toggled[i]
		pix[i] = inside
	}
	m, err := mask.FromBitmap(pix, h, w)
	if err != nil {
		panic(err)
	}
	return m
}
