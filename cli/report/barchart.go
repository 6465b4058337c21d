package report

import (
	"math"
)

// BarChart is a chart of horizontal bars, one below the other, which begin at zero.
type BarChart struct {
	Title string
	X     Axis
	Bars  []Bar
	Kinds []string // the legend: what each colour means; one named "" is left out
}

// Bar is a bar of a chart.
type Bar struct {
	Label     string
	Note      string // in grey, below the label
	Value     float64
	Low, High float64 // ends of the error bar; both 0: none
	Kind      int     // index into Kinds, hence the colour
	Text      string  // the value, written behind the bar
}

const (
	barHeight, barStep = 20, 40
	barWidth           = 460 // of the area of bars
	barLabel           = 34  // longest label, in runes
)

// Draw draws the chart. A bar whose value is not finite is only labelled.
func (b *BarChart) Draw() *Drawing {
	d := &Drawing{Title: b.Title}
	left := 0.0
	for _, bar := range b.Bars {
		left = max(left, textWidth(Shorten(bar.Label, barLabel), textSize+1), textWidth(bar.Note, textSize-1))
	}
	f := b.field(left + 24)
	d.Width, d.Height = f.left+f.width+80, f.top+f.height+fieldBelow
	d.heading(16)
	b.legend(d)
	for _, t := range b.X.ticks(f.x0, f.x1) {
		d.line(rule, 1, f.x(t.At), f.top, f.x(t.At), f.top+f.height)
		d.label(grey, textSize, f.x(t.At), f.top+f.height+17, middle, t.Text)
	}
	for i, bar := range b.Bars {
		bar.draw(d, f, f.top+barStep*(float64(i)+0.5))
	}
	d.line(grey, 1, f.x(0), f.top, f.x(0), f.top+f.height)
	d.label(black, textSize+1, f.left+f.width/2, f.top+f.height+40, middle, b.X.label())
	return d
}

// field is the area of the bars. Its axis includes zero and all error bars.
func (b *BarChart) field(left float64) *field {
	f := &field{left: left, top: fieldTop + 14, width: barWidth, height: barStep * float64(len(b.Bars))}
	for _, bar := range b.Bars {
		for _, v := range []float64{bar.Value, bar.Low, bar.High} {
			if !math.IsNaN(v - v) {
				f.x0, f.x1 = min(f.x0, v), max(f.x1, v)
			}
		}
	}
	if f.x0 == f.x1 {
		f.x1 = 1
	}
	margin := 0.04 * (f.x1 - f.x0)
	if f.x1 += margin; f.x0 < 0 {
		f.x0 -= margin
	}
	return f
}

func (b *BarChart) legend(d *Drawing) {
	x := 16.0
	for i, name := range b.Kinds {
		if name == "" {
			continue
		}
		c, _ := series(i)
		d.rect(c, x, 33, 11, 11, "")
		d.label(black, textSize, x+16, 43, start, name)
		x += 34 + textWidth(name, textSize)
	}
}

func (bar Bar) draw(d *Drawing, f *field, y float64) {
	label := y + 4.0
	if bar.Note != "" {
		label = y - 2
		d.label(grey, textSize-1, f.left-9, y+12, end, bar.Note)
	}
	d.label(black, textSize+1, f.left-9, label, end, Shorten(bar.Label, barLabel))
	if math.IsNaN(bar.Value - bar.Value) {
		return
	}
	c, _ := series(bar.Kind)
	from, to := f.x(min(0, bar.Value)), f.x(max(0, bar.Value))
	d.rect(c, from, y-barHeight/2, to-from, barHeight, bar.Label+": "+bar.Text)
	right := to
	if bar.Low != 0 || bar.High != 0 {
		low, high := f.x(bar.Low), f.x(bar.High)
		d.line(black, 1.5, low, y, high, y)
		d.line(black, 1.5, low, y-5, low, y+5)
		d.line(black, 1.5, high, y-5, high, y+5)
		right = max(right, high)
	}
	d.label(black, textSize, right+7, y+4, start, bar.Text)
}
