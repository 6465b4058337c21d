package mask_test

import (
	"math"
	"testing"

	"github.com/robust-transfer/rtx/detect/mask"
)

// The inputs of faster-coco-eval's tests/test_mask_api.py, in images of 20x20, and what
// it has as their strings.
var (
	suiteBoxes = [][4]float64{{3, 5, 4, 1}, {5, 3, 3, 5}, {8, 5, 8, 5}, {3, 4, 7, 3}, {2, 5, 2, 7},
		{8, 1, 9, 9}, {8, 1, 9, 6}, {7, 1, 9, 4}, {4, 5, 4, 5}, {2, 4, 5, 4}}
	suiteBoxStrings = []string{"Q21c000000o7", "W35?000]7", "U55?0000000000000[2", "P23a000000000000T6", "]17=0k9",
		"Q59;000000000000000k1", "Q56>000000000000000k1", "]44`0000000000000000_2", "e25?00000[7", `\14` + "`00000000P8"}
	suitePolygons = [][]float64{
		{7, 8, 9, 3, 7, 1, 5, 1, 5, 8, 3, 4, 4, 7, 7, 8}, {4, 4, 7, 5, 5, 9, 3, 1, 2, 3, 1, 6, 6, 2, 2, 9},
		{5, 3, 7, 1, 2, 5, 4, 9, 6, 6, 4, 8, 2, 9, 7, 4}, {5, 1, 1, 4, 7, 9, 2, 3, 6, 9, 7, 4, 3, 8, 1, 2},
		{7, 5, 5, 8, 5, 3, 8, 8, 2, 6, 8, 7, 4, 6, 2, 6}, {8, 8, 4, 7, 6, 3, 9, 4, 9, 4, 7, 8, 7, 8, 2, 9},
		{2, 8, 8, 6, 5, 8, 4, 8, 9, 4, 8, 3, 4, 5, 9, 7}, {4, 1, 8, 3, 8, 7, 9, 1, 3, 7, 5, 4, 9, 1, 9, 7},
		{1, 4, 2, 9, 3, 4, 5, 5, 1, 4, 2, 1, 3, 1, 8, 8}, {6, 6, 4, 5, 9, 9, 1, 9, 8, 6, 5, 4, 3, 4, 7, 1},
	}
	suitePolygonStrings = []string{"U36>1OO2Lm6", "h02`012N_O0`00@1>OB3`0MQ8", "]1120=210AN>1BOT9", "f01c01^OO>0E0R11[O0AO]8",
		"e22a0O@0b0010X7", "f2110>212OO2Mj6", "S21c00M1AO?110@O?0l6", "V31c010000g6", "f04?OBN?131O01N10X7", "`11c00K0E1:0F090F2a0MX7"}
)

// TestSuites gives the strings, boxes and overlaps of TestMaskApi of faster-coco-eval.
func TestSuites(t *testing.T) {
	var boxes, polygons []*mask.RLE
	for i, b := range suiteBoxes {
		m, err := mask.FromBox(b, 20, 20)
		if err != nil || m.String() != suiteBoxStrings[i] || m.Bounds() != b {
			t.Errorf("test_frBbox, test_toBbox %v: %v of bounds %v, want %s: %v", b, m, m.Bounds(), suiteBoxStrings[i], err)
		}
		boxes = append(boxes, m)
	}
	for i, p := range suitePolygons {
		m, err := mask.FromPolygon(p, 20, 20)
		if err != nil || m.String() != suitePolygonStrings[i] {
			t.Errorf("test_frPoly %v: %v, want %s: %v", p, m, suitePolygonStrings[i], err)
		}
		again, err := mask.Parse(suitePolygonStrings[i], 20, 20)
		if err != nil || again.String() != suitePolygonStrings[i] {
			t.Errorf("test_frString %s: %v, %v", suitePolygonStrings[i], again, err)
		}
		polygons = append(polygons, m)
	}
	if m, err := mask.Union(boxes...); err != nil || m.String() != `\18<00N1100N2000000000000000000k1` {
		t.Errorf("test_merge, union: %v, %v", m, err)
	}
	if m, err := mask.Intersection(boxes...); err != nil || m.String() != "`<" {
		t.Errorf("test_merge, intersection: %v, %v", m, err)
	}
	runs := &mask.RLE{H: 1350, W: 1080, Counts: []uint32{0, 5, 5, 5, 5, 2, 3, 5, 2, 3, 5, 2, 3, 55}}
	if s := runs.String(); s != "05500MN3ON3ONe1" {
		t.Errorf("test_frUncompressedRLE: %s", s)
	}
	for _, c := range []struct {
		masks []*mask.RLE
		crowd []bool
		want  []float64
	}{
		{boxes[:2], []bool{true, true}, []float64{1, .5, .1333, 1}},
		{boxes[:2], []bool{false, false}, []float64{1, .1176, .1176, 1}},
		{boxes[:2], []bool{true, false}, []float64{1, .1176, .1333, 1}},
		{boxes[:2], []bool{false, true}, []float64{1, .5, .1176, 1}},
		{polygons[:3], []bool{false, false, false}, []float64{1, .1562, .1, .1562, 1, .2174, .1, .2174, 1}},
	} {
		for i, got := range mask.IoU(nil, c.masks, c.masks, c.crowd) {
			if math.Abs(got-c.want[i]) > 5e-5 {
				t.Errorf("test_iou, crowd %v: entry %d is %v, want %v", c.crowd, i, got, c.want[i])
			}
		}
	}
}
