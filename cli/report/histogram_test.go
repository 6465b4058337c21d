package report

import (
	"bytes"
	"strings"
	"testing"
)

// The highest bar is as high as the chart, the others are in proportion, and labels do
// not run into one another.
func TestHistogram(t *testing.T) {
	h := Histogram{Title: "Sizes", X: "side", Labels: []string{"0–1", "1–2", "a long range of sizes", "4–8"}, Counts: []int{40, 10, 0, 1}}
	d := h.Draw()
	var heights, at []float64
	for _, s := range d.shapes {
		if s.text == "" && len(s.points) == 8 {
			heights = append(heights, s.points[5]-s.points[1])
		}
		for _, l := range h.Labels {
			if s.text == l {
				at = append(at, s.points[0])
			}
		}
	}
	if len(heights) != 3 || heights[0] != histogramHeight || heights[1] != histogramHeight/4 || heights[2] != histogramHeight/40 {
		t.Errorf("bars of %v", heights)
	}
	if len(at) != 4 || at[2]-at[1] < textWidth(h.Labels[2], textSize-1) || at[3] > d.Width {
		t.Errorf("labels at %v of %v", at, d.Width)
	}
	var b bytes.Buffer
	if err := d.SVG(&b); err != nil || !strings.Contains(b.String(), "0–1: 40, 78.4 %") {
		t.Errorf("%v, %s", err, b.String())
	}
	if empty := (&Histogram{Title: "Nothing", Labels: []string{"0"}, Counts: []int{0}}).Draw(); len(empty.shapes) == 0 {
		t.Error("an empty histogram has no axis")
	}
}
