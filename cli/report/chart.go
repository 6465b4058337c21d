package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// Chart is a chart of points or lines over two axes. Each group of points has a
// colour and a marker of its own.
type Chart struct {
	Title  string
	X, Y   Axis
	Groups []Group
	Fit    *metrics.Line // drawn through the points, with its r and R²; nil: none
}

// Axis describes an axis.
type Axis struct {
	Label   string
	Percent bool   // values are fractions, to be shown in percent
	Whole   bool   // values are whole numbers: no tick lies between them
	Ticks   []Tick // nil: about six round numbers
	Low     float64
	High    float64 // the axis shows at least Low to High
}

// Tick is a labelled position on an axis.
type Tick struct {
	At   float64
	Text string
}

// Group is a set of points that belong together: a class, a curve.
type Group struct {
	Name   string // for the legend
	Points []Point
	Joined bool // connected by a line, in their order
	Bare   bool // no markers, only the line
}

// Point is a point of a group.
type Point struct {
	X, Y      float64
	Low, High float64 // ends of the error bar, along Y; both 0: none
	Hollow    bool    // drawn as an outline
	Tooltip   string  // shown, in an SVG, when pointed at
}

// Lengths of charts, in pixels.
const (
	chartWidth, chartHeight = 520, 380 // of the area of points
	fieldLeft, fieldTop     = 72, 46
	fieldBelow              = 56
	titleSize, textSize     = 15, 12
	legendLine              = 17
	legendName              = 26 // longest name, in runes
)

// field is the area inside the axes. It maps values to pixels.
type field struct {
	left, top, width, height float64
	x0, x1, y0, y1           float64
}

func (f *field) x(v float64) float64 { return f.left + f.width*(v-f.x0)/(f.x1-f.x0) }
func (f *field) y(v float64) float64 { return f.top + f.height*(f.y1-v)/(f.y1-f.y0) }

// Draw draws the chart. Points that are not finite are left out.
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

// span is the range of values of all points: 0 to 1 if there are none.
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

// field is the area of the points, with a margin around them.
func (c *Chart) field() *field {
	f := &field{left: fieldLeft, top: fieldTop, width: chartWidth, height: chartHeight}
	f.x0, f.x1 = widened(c.X.with(c.span(func(p Point) []float64 { return []float64{p.X} })))
	f.y0, f.y1 = widened(c.Y.with(c.span(func(p Point) []float64 {
		if p.barred() {
			return []float64{p.Y, p.Low, p.High}
		}
		return []float64{p.Y}
	})))
	return f
}

// with is a range of values that includes what the axis shows at least.
func (a Axis) with(low, high float64) (float64, float64) {
	if a.Low < a.High {
		return min(low, a.Low), max(high, a.High)
	}
	return low, high
}

// widened adds a margin to a range. Values that differ only by rounding errors count
// as equal, because no tick would fit between them.
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

// ticks returns the axis' own ticks, or about six round numbers.
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

// minus replaces the hyphen of a negative number by a minus sign. A number that is
// rounded to zero has no sign.
func minus(number string) string {
	if strings.HasPrefix(number, "-") && strings.Trim(number, "-0.") == "" {
		return number[1:]
	}
	return strings.Replace(number, "-", "−", 1)
}

// round rounds up to the next 1, 2 or 5 times a power of ten.
func round(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if x <= m*unit*1.0001 {
			return m * unit
		}
	}
	return 10 * unit
}

// radius is the radius of a marker in a chart of so many points.
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
		if !p.finite() || g.Bare {
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

// legend lists the groups to the right of the points, in at most three columns. If
// there are more groups, the last line says how many.
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
		name := Shorten(g.Name, legendName)
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
