package foreign_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/foreign"
	"github.com/robust-transfer/rtx/onnx"
)

var detrNodes = []string{"MatMul l pixel_values w", "MatMul x pixel_values w", "Sigmoid b x"}

// TestDETR reads logits with and without a background.
func TestDETR(t *testing.T) {
	boxes := filled(3, 4, map[[2]int]float32{})
	copy(boxes.Floats, []float32{.25, .5, .25, .5, .5, .5, 1, 1, .5, .5, .1, .1})
	log := func(v ...float64) (out []float32) {
		for _, p := range v {
			out = append(out, float32(math.Log(p)))
		}
		return out
	}
	softmax := onnx.Array{Dims: []int{1, 3, 3}, Floats: slices.Concat(log(.125, .625, .25), log(.125, .125, .75), log(.375, .25, .375))}
	m := sketch([]string{"pixel_values float N 3 320 320"}, detrNodes, []string{"l float N 3 3", "b float N 3 4"})
	got, err := find(t, m, foreign.Config{}, softmax, boxes)
	if want := fmt.Sprintf("[%v 0.625 of 1]", box.Box{20, 20, 60, 60}); err != nil || fmt.Sprint(texts(got)) != want {
		t.Errorf("softmax: %v, want %s, %v", texts(got), want, err)
	}
	if got, err = find(t, m, foreign.Config{Val: true}, softmax, boxes); err != nil || len(got) != 3 {
		t.Errorf("for evaluating: %v, %v", texts(got), err)
	}

	logit := func(p float64) float32 { return float32(math.Log(p / (1 - p))) }
	sigmoids := onnx.Array{Dims: []int{1, 3, 2}, Floats: []float32{logit(.625), logit(.75), logit(.875), logit(.25), logit(.125), logit(.125)}}
	m = sketch([]string{"pixel_values float N 3 320 320"}, append(detrNodes, "TopK t pixel_values n"), []string{"l float N 3 2", "b float N 3 4"})
	got, err = find(t, m, foreign.Config{}, sigmoids, boxes)
	whole, left := box.Box{0, 0, 160, 80}, box.Box{20, 20, 60, 60}
	if want := fmt.Sprintf("[%v 0.875 of 0 %v 0.75 of 1 %v 0.625 of 0]", whole, left, left); err != nil || fmt.Sprint(texts(got)) != want {
		t.Errorf("sigmoids: %v, want %s, %v", texts(got), want, err)
	}
	if got, err = find(t, m, foreign.Config{Val: true}, sigmoids, boxes); err != nil || len(got) != 3 {
		t.Errorf("sigmoids, for evaluating: %v, want as many as queries, %v", texts(got), err)
	}
}

// TestRows decodes the other forms of rows: fractions of the image, and offsets from
// cells.
func TestRows(t *testing.T) {
	values := map[[2]int]float32{}
	put(values, false, 7, .5, .5, .25, .5, 0, .75)
	old := sketch(square, []string{"GridSample g images n", "Conv c g w", "Sigmoid s c", "Concat all s s"}, []string{"all float 1 300 6"}, ultra...)
	got, err := find(t, old, foreign.Config{}, filled(300, 6, values))
	if want := fmt.Sprintf("[%v 0.75 of 1]", box.Box{60, 20, 100, 60}); err != nil || fmt.Sprint(texts(got)) != want {
		t.Errorf("rtdetr: %v, want %s, %v", texts(got), want, err)
	}
	values = map[[2]int]float32{}
	put(values, false, 7, .5, .5, .25, .5, .75, 1)
	chosen := sketch(square, append(columns, "GridSample g out n", "TopK k g", "Concat all k k"), []string{"all float 1 300 6"}, ultra...)
	if got, err = find(t, chosen, foreign.Config{}, filled(300, 6, values)); err != nil || fmt.Sprint(texts(got)) != fmt.Sprintf("[%v 0.75 of 1]", box.Box{60, 20, 100, 60}) {
		t.Errorf("rtdetr, chosen: %v, %v", texts(got), err)
	}

	// The cell at 2, 1 of the second map, 20x20 of stride 16: the centre is at (2.5, 1.25) * 16 = (40, 20).
	values = map[[2]int]float32{}
	put(values, false, 1600+22, .5, .25, float32(math.Log(2)), 0, .5, .25, 1)
	raw := sketch(square, append(focus, "Concat out v s"), []string{"out float 1 2100 7"})
	got, err = find(t, raw, foreign.Config{}, filled(2100, 7, values))
	if want := fmt.Sprintf("[%v 0.5 of 1]", box.Box{12, 6, 28, 14}); err != nil || fmt.Sprint(texts(got)) != want {
		t.Errorf("yolox, raw: %v, want %s, %v", texts(got), want, err)
	}
}

// TestMask adds up prototypes and cuts the sum to the box.
func TestMask(t *testing.T) {
	m := sketch(square, []string{"Conv c images w", "Sigmoid s c", "Mul b c k", "Conv m images w", "ConcatMid bs b s", "ConcatMid out bs m", "Conv p images w"}, []string{"out float 1 7 2100", "p float 1 2 80 80"})
	rows := map[[2]int]float32{}
	put(rows, true, 3, 180, 160, 280, 80, .75, 1, 2) // pixels (20,20) to (160,60) of the image
	put(rows, true, 9, 160, 220, 20, 20, .5, -1, -1) // nothing is in its mask
	protos := onnx.Array{Dims: []int{1, 2, 80, 80}, Floats: make([]float32, 2*80*80)}
	for i := range 80 * 80 { // -1 + 2*(-1) on the left, -1 + 2*1 on the right
		protos.Floats[i], protos.Floats[6400+i] = -1, 1
		if i%80 < 40 {
			protos.Floats[6400+i] = -1
		}
		if i/80 > 45 {
			protos.Floats[i], protos.Floats[6400+i] = 1, 1
		}
	}
	got, err := find(t, m, foreign.Config{}, filled(7, 2100, rows), protos)
	if err != nil || len(got) != 1 || got[0].Mask == nil {
		t.Fatalf("%v, %v", got, err)
	}
	// The right half of the box: columns 80 to 159, rows 20 to 59; and below row 52, where both are on, all of it.
	on := func(x, y int) bool { return got[0].Mask.Bitmap()[x*80+y] == 1 }
	for _, c := range []struct {
		x, y int
		in   bool
	}{{0, 30, false}, {70, 30, false}, {90, 30, true}, {159, 59, true}, {90, 19, false}, {90, 60, false}, {70, 58, true}, {19, 58, false}, {20, 58, true}} {
		if on(c.x, c.y) != c.in {
			t.Errorf("pixel %d,%d: %v", c.x, c.y, !c.in)
		}
	}
}
