package mask_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/mask"
)

// The polygons and bitmaps of testdata/golden.py.

const (
	cases = 10000
	block = 250
)

// splitMix is the generator SplitMix64.
type splitMix uint64

func (r *splitMix) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (r *splitMix) below(n int) int { return int(r.next() % uint64(n)) }

func (r *splitMix) between(lo, hi float64) float64 {
	return lo + float64(float64(r.next()>>11)*0x1p-53*float64(hi-lo))
}

func (r *splitMix) size() (h, w int) {
	sides := [4][2]int{{64, 64}, {600, 600}, {1, 50}, {50, 1}}
	var s [4][2]int
	for i, side := range sides {
		for k, n := range side {
			if s[i][k] = 1; n > 1 {
				s[i][k] += r.below(n)
			}
		}
	}
	i := max(0, r.below(8)-4)
	return s[i][0], s[i][1]
}

func (r *splitMix) corners(n int, x0, x1, y0, y1 float64) []float64 {
	var xy []float64
	for range n {
		xy = append(xy, r.between(x0, x1), r.between(y0, y1))
	}
	return xy
}

// polygon is polygon i.
func polygon(seed, i int) (h, w int, xy []float64) {
	r := splitMix(uint64(seed)<<32 | uint64(i))
	h, w = r.size()
	fh, fw := float64(h), float64(w)
	switch i % 10 {
	case 0:
		xy = r.corners(3+r.below(10), 0, fw, 0, fh)
	case 1:
		x, y := r.between(-1, fw), r.between(-1, fh)
		xy = r.corners(3+r.below(4), x, x+2, y, y+2)
	case 2:
		xy = r.corners(3+r.below(10), -fw, 2*fw, -fh, 2*fh)
	case 3:
		x, y := r.between(-3*fw, 3*fw), 1.5*fh
		if r.below(2) == 1 {
			y = -2 * fh
		}
		xy = r.corners(3+r.below(4), x, x+fw, y, y+fh)
	case 4:
		for range 2 * (3 + r.below(6)) {
			xy = append(xy, float64(r.below(12*(h+w))-h-w)/10)
		}
	case 5:
		big := 1e4
		if i%1000 == 5 {
			big = 1e6
		}
		xy = r.corners(3+r.below(4), -big, big, -big, big)
	case 6:
		xy = r.corners(1+r.below(2), -5, fw+5, -5, fh+5)
	case 7:
		x, y := float64(r.below(w+1)), r.between(0, fh)
		for range 2 + r.below(6) {
			if r.below(2) == 1 {
				x = r.between(-2, fw+2)
			} else {
				y = r.between(-2, fh+2)
			}
			for range 1 + r.below(3) {
				xy = append(xy, x, y)
			}
		}
	case 8:
		xy = r.corners(20+r.below(60), -1, fw+1, -1, fh+1)
	default:
		x, y := r.between(0, fw), r.between(0, fh)
		for range 5 + r.below(60) {
			x += r.between(-3, 3)
			y += r.between(-3, 3)
			xy = append(xy, x, y)
		}
	}
	return h, w, xy
}

// bitmap is bitmap i.
func bitmap(seed, i int) (h, w int, pix []byte) {
	r := splitMix(uint64(seed)<<32 | 1<<31 | uint64(i))
	h, w = 1+r.below(48), 1+r.below(48)
	pix = make([]byte, h*w)
	fill := func(in func(k, percent int) bool) {
		q := r
		for k := range pix {
			if in(k, q.below(100)) {
				pix[k] = 1
			}
		}
	}
	inside := false
	switch i % 8 {
	case 0:
		fill(func(_, percent int) bool { return percent < 50 })
	case 1:
		fill(func(_, percent int) bool { return percent < 3 })
	case 2:
		fill(func(_, percent int) bool { return percent >= 3 })
	case 3:
	case 4:
		fill(func(int, int) bool { return true })
	case 5:
		fill(func(_, percent int) bool { inside = inside != (percent < 5); return inside })
	case 6:
		fill(func(k, _ int) bool { return (k%2 == 1) == (i/8%2 == 1) })
	default:
		x0, y0 := r.below(w), r.below(h)
		x1, y1 := min(w, x0+r.below(w)), min(h, y0+r.below(h))
		for x := x0; x < x1; x++ {
			for y := y0; y < y1; y++ {
				pix[x*h+y] = 1
			}
		}
	}
	return h, w, pix
}

// made returns mask i of a kind.
func made(t testing.TB, kind string, seed, i int) *mask.RLE {
	t.Helper()
	var m *mask.RLE
	var err error
	if kind == "polygon" {
		h, w, xy := polygon(seed, i)
		m, err = mask.FromPolygon(xy, h, w)
	} else {
		h, w, pix := bitmap(seed, i)
		m, err = mask.FromBitmap(pix, h, w)
	}
	if err != nil {
		t.Fatalf("%s %d: %v", kind, i, err)
	}
	return m
}

// TestGolden compares with pycocotools.
func TestGolden(t *testing.T) {
	golden, err := os.ReadFile("testdata/golden.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(golden)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		i, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(err)
		}
		seen[f[0]]++
		switch f[0] {
		case "polygon", "bitmap":
			m := made(t, f[0], 1, i)
			if got := []string{fmt.Sprint(m.H), fmt.Sprint(m.W), m.String()}; !slices.Equal(got, f[2:]) {
				t.Errorf("%s %d:\n got %q\nwant %q", f[0], i, got, f[2:])
			}
		case "polygons", "bitmaps":
			sum := sha256.New()
			for k := range block {
				fmt.Fprintln(sum, made(t, strings.TrimSuffix(f[0], "s"), 1, i+k))
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != f[2] {
				t.Errorf("%s %d to %d differ", f[0], i, i+block-1)
			}
		case "computed":
			var masks []*mask.RLE
			for _, kind := range []string{"polygon", "bitmap"} {
				for k := range 40 {
					masks = append(masks, made(t, kind, 1, i+k))
				}
			}
			if got := computed(t, masks); got != f[2] {
				t.Errorf("areas, bounds, merges or IoU of the masks from %d on differ", i)
			}
		}
	}
	want := map[string]int{"polygon": 30, "bitmap": 10, "polygons": cases / block, "bitmaps": cases / block, "computed": cases / block}
	for k, n := range want {
		if seen[k] != n {
			t.Errorf("golden.tsv has %d lines of %s, want %d", seen[k], k, n)
		}
	}
}

// computed is the hash that computed of testdata/golden.py makes.
func computed(t *testing.T, masks []*mask.RLE) string {
	sum := sha256.New()
	var canvases []*mask.RLE
	var crowd []bool
	for i, m := range masks {
		b := m.Bounds()
		fmt.Fprintln(sum, m.Area(), b[0], b[1], b[2], b[3])
		canvases = append(canvases, onCanvas(t, m))
		crowd = append(crowd, i%3 == 0)
	}
	for i := 0; i < len(masks)-2; i += 3 {
		for _, merge := range []func(...*mask.RLE) (*mask.RLE, error){mask.Union, mask.Intersection} {
			m, err := merge(canvases[i : i+3]...)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(sum, m)
		}
	}
	for _, dt := range [][]*mask.RLE{masks, canvases} {
		for _, v := range mask.IoU(nil, dt, canvases, crowd) {
			sum.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// onCanvas is a mask's upper left part on 40x40 pixels.
func onCanvas(t *testing.T, m *mask.RLE) *mask.RLE {
	const side = 40
	pix, canvas := m.Bitmap(), make([]byte, side*side)
	for x := range min(side, m.W) {
		copy(canvas[x*side:(x+1)*side], pix[x*m.H:(x+1)*m.H])
	}
	r, err := mask.FromBitmap(canvas, side, side)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPycocotools compares other polygons and bitmaps than those of TestGolden with
// what pycocotools of $PYTHON makes of them.
func TestPycocotools(t *testing.T) {
	if os.Getenv("RTX_PARITY") == "" {
		t.Skip("RTX_PARITY=1 compares with $PYTHON: make parity")
	}
	for seed := 2; seed < 5; seed++ {
		out, err := exec.Command(os.Getenv("PYTHON"), "-W", "ignore", "testdata/golden.py", "--all", fmt.Sprint(seed)).Output()
		if err != nil {
			t.Fatalf("PYTHON=%s needs pycocotools and numpy: %v", os.Getenv("PYTHON"), err)
		}
		n := 0
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			i, _ := strconv.Atoi(f[1])
			m := made(t, f[0], seed, i)
			if got := []string{fmt.Sprint(m.H), fmt.Sprint(m.W), m.String()}; !slices.Equal(got, f[2:]) {
				t.Fatalf("seed %d, %s %d:\n got %q\nwant %q", seed, f[0], i, got, f[2:])
			}
			if back, err := mask.Parse(f[4], m.H, m.W); err != nil || !slices.Equal(back.Counts, m.Counts) {
				t.Fatalf("seed %d, %s %d: read back: %v %v", seed, f[0], i, back, err)
			}
			n++
		}
		if n != 2*cases {
			t.Fatalf("seed %d: %d masks, want %d", seed, n, 2*cases)
		}
		t.Logf("seed %d: %d masks equal", seed, n)
	}
}
