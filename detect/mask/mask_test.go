package mask_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/mask"
)

func Example() {
	triangle, err := mask.FromPolygon([]float64{0, 0, 4, 0, 4, 4}, 4, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	square, err := mask.FromBox([4]float64{2, 0, 2, 2}, 4, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(triangle.Counts, triangle.Area(), triangle.Bounds())
	fmt.Println(square, square.Counts)
	fmt.Println(mask.IoU(nil, []*mask.RLE{triangle}, []*mask.RLE{square}, nil))
	// Output:
	// [4 1 3 2 2 3 5] 6 [1 0 3 3]
	// 82204 [8 2 2 2 6]
	// [0.6666666666666666]
}

func TestParseDamaged(t *testing.T) {
	for _, c := range []struct {
		name, s string
		h, w    int
		want    string
	}{
		{"empty", "", 2, 2, "add up to 0 pixels"},
		{"short", "3", 2, 2, "add up to 3 pixels"},
		{"long", "5", 2, 2, "run 0 has length 5, with 4 of the 4 pixels"},
		{"negative", "O", 2, 2, "run 0 has length -1"},
		{"negative difference", "211K", 2, 4, "run 3 has length -4"},
		{"below the alphabet", "1/", 2, 2, `character 1 of the run lengths: '/'`},
		{"above the alphabet", "1p", 2, 2, "character 1"},
		{"not ASCII", "4\xff", 2, 2, "character 1"},
		{"ends within a number", "4P", 2, 2, "ends within a number"},
		{"endless number", strings.Repeat("P", 12) + "4", 2, 2, "more than 7 characters"},
		{"negative size", "4", -2, -2, "not the size of a mask"},
		{"too large", "4", 1 << 20, 1 << 20, "not the size of a mask"},
		{"overflowing size", "4", math.MaxInt, math.MaxInt, "not the size of a mask"},
	} {
		m, err := mask.Parse(c.s, c.h, c.w)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", c.name, m, err, c.want)
		}
	}
}

func TestString(t *testing.T) {
	for _, counts := range [][]uint32{
		{0}, {0, 6}, {6}, {1, 2, 3}, {3, 0, 3}, {0, 0, 0, 6}, {1, 1, 1, 1, 1, 1},
		{1 << 31, 1<<31 - 1}, {0, math.MaxUint32}, {5, 1 << 31, 3, 1, 1 << 30, 15, 16, 31, 32},
	} {
		var sum int
		for _, c := range counts {
			sum += int(c)
		}
		m := &mask.RLE{H: 1, W: sum, Counts: counts}
		if err := m.Validate(); err != nil {
			t.Errorf("%v: %v", counts, err)
		}
		back, err := mask.Parse(m.String(), 1, sum)
		if err != nil || !slices.Equal(back.Counts, counts) {
			t.Errorf("%v written as %q is read as %v, %v", counts, m, back, err)
		}
	}
}

// TestBitmap takes 10,000 bitmaps there and back.
func TestBitmap(t *testing.T) {
	for i := range cases {
		h, w, pix := bitmap(7, i)
		m := made(t, "bitmap", 7, i)
		if !slices.Equal(m.Bitmap(), pix) || m.H != h || m.W != w || m.Validate() != nil {
			t.Fatalf("bitmap %d of %dx%d comes back as another", i, h, w)
		}
		area := 0
		for _, p := range pix {
			area += int(p)
		}
		if m.Area() != area {
			t.Fatalf("bitmap %d has area %d, want %d", i, m.Area(), area)
		}
	}
	if m, err := mask.FromBitmap([]byte{0, 7, 255, 1}, 2, 2); err != nil || !slices.Equal(m.Counts, []uint32{1, 3}) {
		t.Errorf("values above 1: %v, %v", m, err)
	}
	if m, err := mask.FromBitmap(nil, 0, 5); err != nil || m.String() != "0" || m.Bounds() != [4]float64{} {
		t.Errorf("no pixels: %v, %v", m, err)
	}
	if m, err := mask.Parse("", 0, 5); err != nil {
		t.Errorf("no pixels: %v", err)
	} else if u, err := mask.Union(m, m); err != nil || u.String() != "0" {
		t.Errorf("union of no pixels: %v, %v", u, err)
	}
	if _, err := mask.FromBitmap(make([]byte, 5), 2, 2); err == nil {
		t.Error("5 pixels for 2x2 are taken")
	}
}

// TestMerge compares unions and intersections with those of the bitmaps.
func TestMerge(t *testing.T) {
	for i := range 2000 {
		r := splitMix(i)
		h, w := 1+r.below(12), 1+r.below(12)
		var masks []*mask.RLE
		or, and := make([]byte, h*w), slices.Repeat([]byte{1}, h*w)
		for range 1 + r.below(4) {
			m := &mask.RLE{H: h, W: w}
			for left := h * w; left > 0; {
				n := min(left, r.below(8)) // runs of 0 as well
				m.Counts = append(m.Counts, uint32(n))
				left -= n
			}
			m.Counts = append(m.Counts, make([]uint32, r.below(3))...)
			for k, p := range m.Bitmap() {
				or[k] |= p
				and[k] &= p
			}
			masks = append(masks, m)
		}
		union, err := mask.Union(masks...)
		if err != nil || !slices.Equal(union.Bitmap(), or) {
			t.Fatalf("union of %v is %v, %v", masks, union, err)
		}
		both, err := mask.Intersection(masks...)
		if err != nil || !slices.Equal(both.Bitmap(), and) {
			t.Fatalf("intersection of %v is %v, %v", masks, both, err)
		}
		// Runs have no length of 0, as those of bitmaps.
		for _, m := range []*mask.RLE{union, both} {
			if b, err := mask.FromBitmap(m.Bitmap(), h, w); err != nil || !slices.Equal(b.Counts, m.Counts) {
				t.Fatalf("merged runs %v, want %v", m.Counts, b)
			}
		}
		if len(masks) == 2 {
			want := 0.0
			if both.Area() > 0 {
				want = float64(both.Area()) / float64(union.Area())
			}
			if got := mask.IoU(nil, masks[:1], masks[1:], nil); got[0] != want {
				t.Fatalf("IoU of %v is %v, want %v", masks, got, want)
			}
		}
	}
	a, b := &mask.RLE{H: 1, W: 2, Counts: []uint32{2}}, &mask.RLE{H: 2, W: 1, Counts: []uint32{2}}
	if _, err := mask.Union(a, b); err == nil {
		t.Error("masks of two sizes are merged")
	}
	if _, err := mask.Union(); err == nil {
		t.Error("no masks are merged")
	}
	if _, err := mask.Union(a, &mask.RLE{H: 1, W: 2, Counts: []uint32{3}}); err == nil {
		t.Error("runs of 3 pixels in a mask of 2 are merged")
	}
}

// TestIoU checks what pycocotools does of sizes that differ, crowds, and masks that are
// empty.
func TestIoU(t *testing.T) {
	full := &mask.RLE{H: 2, W: 4, Counts: []uint32{0, 8}}
	half := &mask.RLE{H: 2, W: 4, Counts: []uint32{4, 4}}
	other := &mask.RLE{H: 4, W: 2, Counts: []uint32{0, 8}}
	away := &mask.RLE{H: 9, W: 9, Counts: []uint32{80, 1}}
	empty := &mask.RLE{H: 2, W: 4, Counts: []uint32{8}}
	dt, gt := []*mask.RLE{full, half, empty}, []*mask.RLE{full, half, full, other, away, empty}
	crowd := []bool{false, false, true, false, false, true}
	want := []float64{
		1, .5, 1, -1, 0, 0,
		.5, 1, 1, 0, 0, 0,
		0, 0, 0, 0, 0, 0,
	}
	dst := make([]float64, 0, 18)
	got := mask.IoU(dst, dt, gt, crowd)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if &got[0] != &dst[:1][0] {
		t.Error("dst was large enough, and is not used")
	}
	if got := mask.IoU(nil, nil, gt, crowd); len(got) != 0 {
		t.Errorf("no detections have IoU %v", got)
	}
}

func TestPolygonErrors(t *testing.T) {
	for _, xy := range [][]float64{
		nil, {1}, {1, 2, 3}, {1, math.NaN()}, {math.Inf(1), 2}, {1e9, 0, 1, 1, 2, 0}, {0, 2e6}, {0, -2e6},
	} {
		if m, err := mask.FromPolygon(xy, 5, 5); err == nil {
			t.Errorf("%v is taken as %v", xy, m)
		}
	}
	if _, err := mask.FromPolygon([]float64{1, 1}, -1, 5); err == nil {
		t.Error("a height of -1 is taken")
	}
	if _, err := mask.FromPolygons(nil, 5, 5); err == nil {
		t.Error("no polygons are taken")
	}
	if _, err := mask.FromBox([4]float64{0, 0, math.NaN(), 1}, 5, 5); err == nil {
		t.Error("a width of NaN is taken")
	}
	if m, err := mask.FromPolygon([]float64{0, 0, 9, 0, 9, 9}, 0, 7); err != nil || m.String() != "0" {
		t.Errorf("no pixels: %v, %v", m, err)
	}
}

// TestBoxes checks that the masks of whole boxes are those pixels.
func TestBoxes(t *testing.T) {
	const h, w = 9, 11
	for x := range w {
		for y := range h {
			m, err := mask.FromBox([4]float64{float64(x), float64(y), 3, 2}, h, w)
			if err != nil {
				t.Fatal(err)
			}
			want := [4]float64{float64(x), float64(y), float64(min(3, w-x)), float64(min(2, h-y))}
			if got := m.Bounds(); got != want || m.Area() != int(want[2]*want[3]) {
				t.Errorf("the box at %d,%d has bounds %v and area %d, want %v", x, y, got, m.Area(), want)
			}
		}
	}
}

// TestInvalid checks that runs that do not add up are found out, and that nothing
// panics where nobody asked.
func TestInvalid(t *testing.T) {
	good := &mask.RLE{H: 2, W: 2, Counts: []uint32{1, 3}}
	for _, m := range []*mask.RLE{
		{H: 0, W: 5, Counts: []uint32{3, 2}}, {H: 2, W: 2, Counts: []uint32{9, 9}}, {H: 2, W: 2},
		{H: 2, W: 2, Counts: []uint32{1, 2}}, {H: 2, W: 2, Counts: []uint32{math.MaxUint32, 5}}, {H: -1, W: -4, Counts: []uint32{4}},
	} {
		if m.Validate() == nil {
			t.Errorf("%v is taken as valid", *m)
		}
		if m.H >= 0 && len(m.Bitmap()) != m.H*m.W {
			t.Errorf("%v has %d pixels", *m, len(m.Bitmap()))
		}
		_, _, _ = m.Bounds(), m.Area(), m.String()
		mask.IoU(nil, []*mask.RLE{m, good}, []*mask.RLE{good, m}, nil)
		if _, err := mask.Union(m, m); err == nil {
			t.Errorf("%v is merged", *m)
		}
	}
}
