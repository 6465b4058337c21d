package report

import (
	"fmt"
	"strconv"
)

// Histogram is a chart of upright bars: how many values are in each of some ranges.
type Histogram struct {
	Title  string
	X      string   // what is counted, below the axis
	Labels []string // of the ranges
	Counts []int
}

const (
	histogramStep   = 40  // from bar to bar, at least
	histogramHeight = 160 // of the highest bar
)

// Draw draws the histogram. The share of each range is a tooltip.
func (h *Histogram) Draw() *Drawing {
	d := &Drawing{Title: h.Title}
	d.heading(16)
	most, total := 1, 0
	for _, n := range h.Counts {
		most, total = max(most, n), total+n
	}
	const left, top = 16.0, 56.0
	bottom, step := top+histogramHeight, float64(histogramStep)
	for _, l := range h.Labels {
		step = max(step, textWidth(l, textSize-1)+4)
	}
	for i, n := range h.Counts {
		x := left + step*float64(i)
		height := histogramHeight * float64(n) / float64(most)
		if n > 0 {
			height = max(height, 1)
			d.rect(first, x+3, bottom-height, step-6, height, fmt.Sprintf("%s: %d, %.1f %%", h.Labels[i], n, 100*float64(n)/float64(total)))
			d.label(grey, textSize-1, x+step/2, bottom-height-5, middle, strconv.Itoa(n))
		}
		d.label(black, textSize-1, x+step/2, bottom+16, middle, h.Labels[i])
	}
	right := left + step*float64(len(h.Counts))
	d.line(grey, 1, left, bottom, right, bottom)
	d.label(black, textSize, (left+right)/2, bottom+36, middle, h.X)
	d.Width, d.Height = max(right+16, 32+textWidth(h.Title, titleSize)), bottom+48
	return d
}
