package box_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/box"
)

func ExampleIoU() {
	a, b := box.Box{0, 0, 4, 4}, box.Box{2, 0, 6, 4}
	fmt.Println(box.IoU(a, b))
	// Output: 0.33333334
}

func ExampleCoder() {
	anchor := box.Box{0, 0, 10, 20}
	coder := box.Coder{Weights: [4]float64{10, 10, 5, 5}}
	deltas := coder.Encode(box.Box{5, 0, 15, 20}, anchor)
	fmt.Println(deltas, coder.Decode(deltas, anchor))
	// Output: [5 0 0 0] [5 0 15 20]
}

func ExampleNMS() {
	boxes := []box.Box{{0, 0, 10, 10}, {1, 0, 11, 10}, {50, 50, 60, 60}}
	scores := []float32{.8, .9, .1}
	fmt.Println(box.NMS(boxes, scores, .5))
	fmt.Println(box.NMSByClass(boxes, scores, []int{0, 1, 1}, .5))
	// Output:
	// [1 2]
	// [1 0 2]
}

func ExampleTopK() {
	fmt.Println(box.TopK([]float32{1, 3, 2, 3, 1}, 4))
	// Output: [1 3 2 0]
}

// golden is testdata/golden.json: numbers of torchvision.
type golden struct {
	IoU struct {
		Boxes flat
		IoU   []float32
	}
	Clip struct {
		Boxes, Clipped flat
		Width, Height  float32
	}
	Coders []struct {
		Weights                 [4]float64
		Anchors, Boxes, Decoded flat
		Deltas, Encoded         flat
	}
	NMS     []nms
	ByClass nms `json:"by_class"`
	Large   []struct {
		Threshold float64
		Kept      int
		SHA256    string
	}
	TopK struct {
		Scores []float32
		Order  []int
	}
}

type nms struct {
	Name      string
	Boxes     flat
	Scores    []float32
	Classes   []int
	Threshold float64
	Keep      []int
}

// flat is boxes whose numbers are in one list.
type flat []box.Box

func (f *flat) UnmarshalJSON(b []byte) error {
	var v []float32
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	for c := range slices.Chunk(v, 4) {
		*f = append(*f, box.Box(c))
	}
	return nil
}

func read(t *testing.T) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestIoU(t *testing.T) {
	g := read(t).IoU
	got := box.PairwiseIoU(nil, g.Boxes, g.Boxes)
	for i, want := range g.IoU {
		if got[i] != want {
			t.Errorf("IoU of %v and %v is %v, want %v", g.Boxes[i/len(g.Boxes)], g.Boxes[i%len(g.Boxes)], got[i], want)
		}
	}
	if len(got) != len(g.IoU) || len(got) < 400 {
		t.Errorf("%d overlaps, want %d", len(got), len(g.IoU))
	}
	dst := make([]float32, 1, 6)
	if got := box.PairwiseIoU(dst, g.Boxes[:2], g.Boxes[:3]); len(got) != 6 || &got[0] != &dst[0] || got[2] != g.IoU[2] {
		t.Errorf("into dst: %v", got)
	}
}

// TestNotNumbers checks that boxes that hold NaN, or have no area, have no overlap, and
// that NMS neither drops them nor drops others for them.
func TestNotNumbers(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	good := box.Box{0, 0, 10, 10}
	for _, b := range []box.Box{
		{nan, 0, 10, 10}, {0, nan, 10, 10}, {0, 0, nan, 10}, {0, 0, 10, nan}, {nan, nan, nan, nan},
		{5, 5, 5, 5}, {5, 5, 5, 9}, {9, 9, 1, 1}, {0, 0, inf, inf}, {-inf, -inf, inf, inf},
	} {
		if a, z := box.IoU(b, b), box.IoU(b, good); a != 0 || z != 0 || box.IoU(good, b) != 0 {
			t.Errorf("IoU of %v with itself is %v, with %v %v", b, a, good, z)
		}
		boxes := []box.Box{b, good, b, good}
		if kept := box.NMS(boxes, []float32{.9, .8, .7, .6}, .5); !slices.Equal(kept, []int{0, 1, 2}) {
			t.Errorf("of %v NMS keeps %v", boxes, kept)
		}
	}
	c := box.Coder{}.Decode([4]float32{0, 0, nan, 1}, good)
	if c[0] == c[0] || c[2] == c[2] {
		t.Errorf("dw of NaN becomes %v", c)
	}
	if b := (box.Box{nan, -3, 4, 99}).Clip(10, 20); b[0] == b[0] || b[1] != 0 || b[2] != 4 || b[3] != 20 {
		t.Errorf("clipped to %v", b)
	}
}

func TestClip(t *testing.T) {
	g := read(t).Clip
	for i, b := range g.Boxes {
		if got := b.Clip(g.Width, g.Height); got != g.Clipped[i] {
			t.Errorf("%v becomes %v, want %v", b, got, g.Clipped[i])
		}
	}
	if len(g.Boxes) < 20 {
		t.Errorf("%d boxes", len(g.Boxes))
	}
}

// near says that two numbers agree but for a unit or two in the last place of the
// larger numbers that they were computed from: exponentials and logarithms of
// libraries differ.
func near(a, b, of float32) bool {
	return math.Abs(float64(a)-float64(b)) <= 2.5e-7*float64(max(of, 1))
}

func TestCoder(t *testing.T) {
	for _, g := range read(t).Coders {
		c := box.Coder{Weights: g.Weights}
		clamped := 0
		for i, anchor := range g.Anchors {
			encoded, decoded := c.Encode(g.Boxes[i], anchor), c.Decode(g.Deltas[i], anchor)
			for k := range 4 {
				if want := g.Encoded[i][k]; !near(encoded[k], want, max(want, -want)) {
					t.Errorf("weights %v: %v for anchor %v has deltas %v, want %v", g.Weights, g.Boxes[i], anchor, encoded, g.Encoded[i])
				}
				want := g.Decoded[i]
				if of := max(want[2], want[3], -want[0], -want[1]); !near(decoded[k], want[k], of) {
					t.Errorf("weights %v: %v of anchor %v is %v, want %v", g.Weights, g.Deltas[i], anchor, decoded, want)
				}
			}
			if w := decoded.Width() / anchor.Width(); w > 62.4 {
				clamped++
			}
			back := c.Decode(encoded, anchor)
			for k := range 4 {
				if math.Abs(float64(back[k]-g.Boxes[i][k])) > 1e-3 {
					t.Errorf("weights %v: %v comes back as %v", g.Weights, g.Boxes[i], back)
				}
			}
		}
		if len(g.Anchors) != 40 || clamped == 0 {
			t.Errorf("%d boxes, %d clamped", len(g.Anchors), clamped)
		}
	}
	if got, want := (box.Coder{Clamp: math.Ln2}).Decode([4]float32{0, 0, 9, -9}, box.Box{-1, -1, 1, 1}), float32(math.Exp(-9)); got != (box.Box{-2, -want, 2, want}) {
		t.Errorf("clamped at a factor of 2: %v", got)
	}
}

func TestNMS(t *testing.T) {
	g := read(t)
	for _, c := range g.NMS {
		if got := box.NMS(c.Boxes, c.Scores, c.Threshold); !slices.Equal(got, c.Keep) {
			t.Errorf("%s, threshold %v: keeps %v, want %v", c.Name, c.Threshold, got, c.Keep)
		}
	}
	c := g.ByClass
	if got := box.NMSByClass(c.Boxes, c.Scores, c.Classes, c.Threshold); !slices.Equal(got, c.Keep) {
		t.Errorf("by class: keeps %v, want %v", got, c.Keep)
	}
	if len(g.NMS) < 19 || len(c.Keep) == len(c.Boxes) {
		t.Error("golden.json lacks cases")
	}
	if got := box.NMS(nil, nil, .5); len(got) != 0 {
		t.Errorf("of no boxes %v are kept", got)
	}
}

// TestNMSLarge compares 2,000 boxes with torchvision's.
func TestNMSLarge(t *testing.T) {
	state := uint64(1)
	below := func(n int) float32 {
		state += 0x9E3779B97F4A7C15
		z := state
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		return float32((z ^ z>>31) % uint64(n))
	}
	var boxes []box.Box
	var scores []float32
	for range 2000 {
		x, y := below(4000)/4, below(2800)/4
		w, h := (1+below(600))/4, (1+below(600))/4
		boxes = append(boxes, box.Box{x, y, x + w, y + h})
		scores = append(scores, below(1<<24))
	}
	for _, c := range read(t).Large {
		keep := box.NMS(boxes, scores, c.Threshold)
		text := strings.ReplaceAll(fmt.Sprint(keep), " ", ", ")
		sum := sha256.Sum256([]byte(text))
		if hex.EncodeToString(sum[:]) != c.SHA256 {
			t.Errorf("threshold %v: %d boxes are kept, want %d, or others", c.Threshold, len(keep), c.Kept)
		}
	}
}

func TestTopK(t *testing.T) {
	g := read(t).TopK
	for k := range len(g.Scores) + 5 {
		if got := box.TopK(g.Scores, k); !slices.Equal(got, g.Order[:min(k, len(g.Order))]) {
			t.Errorf("the %d highest are %v, want %v", k, got, g.Order[:k])
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	zero := float32(math.Copysign(0, -1))
	scores := []float32{nan, -inf, zero, 0, zero, inf, -nan, -1}
	if got := box.TopK(scores, 9); !slices.Equal(got, []int{5, 2, 3, 4, 7, 1, 0, 6}) {
		t.Errorf("of %v: %v", scores, got)
	}
	if got := box.TopK(scores, -1); len(got) != 0 {
		t.Errorf("the -1 highest are %v", got)
	}
}

// TestTopKLarge compares quickselect with sorting, of scores in several orders.
func TestTopKLarge(t *testing.T) {
	for _, n := range []int{1, 2, 3, 1000, 5000} {
		for name, score := range map[string]func(i int) float32{
			"rising":  func(i int) float32 { return float32(i) },
			"falling": func(i int) float32 { return float32(-i) },
			"equal":   func(int) float32 { return 1 },
			"close":   func(i int) float32 { return math.Float32frombits(1<<29 + uint32(i*7919%1009)) },
			"mixed":   func(i int) float32 { return float32((i*7919)%1009) - 500 },
		} {
			scores, order := make([]float32, n), make([]int, n)
			for i := range scores {
				scores[i], order[i] = score(i), i
			}
			slices.SortStableFunc(order, func(a, b int) int {
				switch {
				case scores[a] > scores[b]:
					return -1
				case scores[a] < scores[b]:
					return 1
				}
				return 0
			})
			for _, k := range []int{0, 1, 2, n / 3, n - 1, n} {
				if got := box.TopK(scores, k); !slices.Equal(got, order[:min(k, n)]) {
					t.Errorf("%d of %d %s scores differ", k, n, name)
				}
			}
		}
	}
}
