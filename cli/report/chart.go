package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// Chart is points over two axes, each group with a colour and a form.
type Chart struct {
	Title  string
	X, Y   Axis
	Groups []Group
	Fit    *metrics.Line // drawn through all points, with its r and R2; nil: none
}

// Axis is what one direction means.
type Axis struct {
	Label   string
	Percent bool   // the values are fractions and are written as percent
	Whole   bool   // there is nothing between whole numbers
	Ticks   []Tick // nil: round numbers
}

// Tick is a place of an axis that has a label.
type Tick struct {
	At   float64
	Text string
}

// Group is points that belong together.
type Group struct {
	Name   string
	Points []Point
	Joined bool // by a line, in their order
}

// Point is one of a group. Low and High are the ends of its error bar; where
// both are 0 there is none.
type Point struct {
	X, Y      float64
	Low, High float64
	Hollow    bool
	Tooltip   string // shown where it is pointed at
}

// Lengths of charts, in pixels.
const (
	chartWidth, chartHeight = 520, 380 // of the field of points
	fieldLeft, fieldTop     = 72, 46
	fieldBelow              = 56
	titleSize, textSize     = 15, 12
	legendLine              = 17
	legendName              = 26 // runes
)

// field is the area of the points: a map of values to pixels.
type field struct {
	left, top, width, height float64
	x0, x1, y0, y1           float64
}

func (f *field) x(v float64) float64 { return f.left + f.width*(v-f.x0)/(f.x1-f.x0) }
func (f *field) y(v float64) float64 { return f.top + f.height*(f.y1-v)/(f.y1-f.y0) }

// Draw makes the drawing. Points that are not finite are left out.
func (c *Chart) Draw() *Drawing {
	d := &Drawing{Title: c.Title, Width: fieldLeft + chartWidth + 24, Height: fieldTop + chartHeight + fieldBelow}
	f := c.field()
	d.heading(fieldLeft)
	if c.Fit != nil {
		d.label(grey, textSize, fieldLeft, 37, start, fitText(c.Fit))
	}
	c.axes(d, f)
	if c.Fit != nil {
		at := func(x float64) float64 { return c.Fit.Intercept + c.Fit.Slope*x }
		x0, x1 := c.span(func(p Point) []float64 { return []float64{p.X} })
		d.add(shape{points: []float64{f.x(x0), f.y(at(x0)), f.x(x1), f.y(at(x1))}, stroke: grey, width: 1.5, dashed: true})
	}
	points := 0
	for _, g := range c.Groups {
		points += len(g.Points)
	}
	for i, g := range c.Groups {
		g.draw(d, f, i, radius(points))
	}
	c.legend(d)
	return d
}

func fitText(l *metrics.Line) string {
	return fmt.Sprintf("r = %s, R² = %.3f, n = %d", minus(strconv.FormatFloat(l.R, 'f', 3, 64)), l.R2, l.N)
}

// span is the range of values of all points; 0 to 1 without any.
func (c *Chart) span(values func(Point) []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, g := range c.Groups {
		for _, p := range g.Points {
			for _, v := range values(p) {
				if p.finite() && !math.IsNaN(v) && !math.IsInf(v, 0) {
					low, high = min(low, v), max(high, v)
				}
			}
		}
	}
	if low > high {
		return 0, 1
	}
	return low, high
}

func (p Point) finite() bool { return !math.IsNaN(p.X-p.X) && !math.IsNaN(p.Y-p.Y) }

func (p Point) barred() bool { return p.Low != 0 || p.High != 0 }

// field leaves a margin around the points.
func (c *Chart) field() *field {
	f := &field{left: fieldLeft, top: fieldTop, width: chartWidth, height: chartHeight}
	f.x0, f.x1 = widened(c.span(func(p Point) []float64 { return []float64{p.X} }))
	f.y0, f.y1 = widened(c.span(func(p Point) []float64 {
		if p.barred() {
			return []float64{p.Y, p.Low, p.High}
		}
		return []float64{p.Y}
	}))
	return f
}

// widened is a range with a margin. Values that differ by rounding alone are as
// good as equal: no tick would fit between them.
func widened(low, high float64) (float64, float64) {
	if high-low <= 1e-9*max(math.Abs(low), math.Abs(high)) {
		low, high = low-0.5*max(math.Abs(low), 0.02), high+0.5*max(math.Abs(high), 0.02)
	}
	margin := 0.05 * (high - low)
	return low - margin, high + margin
}

func (c *Chart) axes(d *Drawing, f *field) {
	bottom := f.top + f.height
	for _, t := range c.X.ticks(f.x0, f.x1) {
		d.line(rule, 1, f.x(t.At), f.top, f.x(t.At), bottom)
		d.label(grey, textSize, f.x(t.At), bottom+17, middle, t.Text)
	}
	for _, t := range c.Y.ticks(f.y0, f.y1) {
		d.line(rule, 1, f.left, f.y(t.At), f.left+f.width, f.y(t.At))
		d.label(grey, textSize, f.left-7, f.y(t.At)+4, end, t.Text)
	}
	d.line(grey, 1, f.left, f.top, f.left, bottom, f.left+f.width, bottom)
	d.label(black, textSize+1, f.left+f.width/2, bottom+40, middle, c.X.label())
	d.write(shape{points: []float64{20, f.top + f.height/2}, fill: black, size: textSize + 1, anchor: middle, turned: true, text: c.Y.label()})
}

func (a Axis) label() string {
	if a.Percent {
		return a.Label + ", %"
	}
	return a.Label
}

// ticks are those given, or about six round numbers.
func (a Axis) ticks(low, high float64) []Tick {
	if a.Ticks != nil {
		return a.Ticks
	}
	scale := 1.0
	if a.Percent {
		scale = 100
	}
	step := round((high - low) * scale / 6)
	if a.Whole {
		step = max(step, 1)
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var ticks []Tick
	for i := math.Ceil(low * scale / step); i*step <= high*scale; i++ {
		ticks = append(ticks, Tick{i * step / scale, minus(strconv.FormatFloat(i*step, 'f', decimals, 64))})
	}
	return ticks
}

// minus is a number with the sign that belongs to it in print.
func minus(number string) string {
	if number == "-0" {
		return "0"
	}
	return strings.Replace(number, "-", "−", 1)
}

// round is the next number of 1, 2 and 5 with zeros.
func round(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if x <= m*unit*1.0001 {
			return m * unit
		}
	}
	return 10 * unit
}

// radius of a point among so many.
func radius(points int) float64 {
	switch {
	case points > 5000:
		return 1.5
	case points > 400:
		return 2.5
	}
	return 4.5
}

func (g *Group) draw(d *Drawing, f *field, i int, r float64) {
	colour, form := series(i)
	var line []float64
	for _, p := range g.Points {
		if p.finite() {
			line = append(line, f.x(p.X), f.y(p.Y))
		}
	}
	if g.Joined && len(line) > 2 {
		d.line(colour, 1.5, line...)
	}
	for _, p := range g.Points {
		if !p.finite() {
			continue
		}
		x := f.x(p.X)
		if p.barred() {
			low, high := f.y(p.Low), f.y(p.High)
			d.line(colour, 1, x, low, x, high)
			d.line(colour, 1, x-3, low, x+3, low)
			d.line(colour, 1, x-3, high, x+3, high)
		}
		d.mark(form, colour, p.Hollow, x, f.y(p.Y), r, p.Tooltip)
	}
}

// legend names the groups to the right of the field, in columns. Where they are
// too many for three columns the last line says how many more there are.
func (c *Chart) legend(d *Drawing) {
	column := chartHeight / legendLine
	shown := len(c.Groups)
	if shown > 3*column {
		shown = 3*column - 1
	}
	x, widest := fieldLeft+chartWidth+22.0, 0.0
	for i, g := range c.Groups[:shown] {
		if i > 0 && i%column == 0 {
			x, widest = x+widest+34, 0
		}
		y := fieldTop + 8 + legendLine*float64(i%column)
		name := shorten(g.Name, legendName)
		colour, form := series(i)
		d.mark(form, colour, false, x, y, 4.5, "")
		d.label(black, textSize, x+12, y+4, start, name)
		widest = max(widest, textWidth(name, textSize))
	}
	if more := len(c.Groups) - shown; more > 0 {
		d.label(grey, textSize, x+12, fieldTop+12+legendLine*float64(shown%column), start, "and "+strconv.Itoa(more)+" more")
	}
	d.Width = x + widest + 30
}
