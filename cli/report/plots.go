package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// Plot is a drawing of a comparison.
type Plot struct {
	Name    string // for its file: top1, cost, eps-l2, eps-linf, imagenet or gain
	Drawing *Drawing
	Caption string
}

// enough is how many points a plot must have.
const enough = 3

// Plots returns the drawings that the comparison has figures for. There is always a
// bar chart of accuracies. With at least three points each there are also: accuracy
// against the time that an image takes; accuracy against the eps of adversarial training, for each norm, with a line for each
// architecture; accuracy against published ImageNet top-1, with the least-squares
// line; and the difference of robust backbones from the standard one of their
// architecture.
func (c *Comparison) Plots() []Plot {
	plots := []Plot{c.bars()}
	for _, p := range []*Plot{c.cost(), c.eps("l2", "L2"), c.eps("linf", "Linf"), c.imageNet(), c.gain()} {
		if p != nil {
			plots = append(plots, *p)
		}
	}
	return plots
}

// figure is what Top1 is called.
func (c *Comparison) figure() string { return cmp.Or(c.Figure, "top-1 accuracy") }

// subject is what Top1 is called at the beginning of a title.
func (c *Comparison) subject() string { return cmp.Or(c.Figure, "Accuracy") }

// kinds are the meanings of the colours of bars.
var kinds = []string{0: "robust", 1: "standard", unknown: "training not known"}

const unknown = 7 // the index of a grey

func (b *Backbone) kind() int {
	switch {
	case math.IsNaN(b.Eps) && !b.Robust:
		return unknown
	case b.Eps == 0:
		return 1
	}
	return 0
}

func (c *Comparison) bars() Plot {
	b := BarChart{Title: strings.ToUpper(c.figure()[:1]) + c.figure()[1:], X: Axis{Label: c.figure(), Percent: true}, Kinds: make([]string, len(kinds))}
	for _, m := range c.Models {
		b.Kinds[m.kind()] = kinds[m.kind()]
		bar := Bar{Label: m.Name, Note: m.Training(), Value: m.Top1.Value, Kind: m.kind(), Text: percent(m.Top1.Value)}
		if !math.IsNaN(m.Top1.Low) && !math.IsNaN(m.Top1.High) {
			bar.Low, bar.High = m.Top1.Low, m.Top1.High
		}
		b.Bars = append(b.Bars, bar)
	}
	return Plot{"top1", b.Draw(), c.Spread}
}

// point is the point of a backbone at some x: its top-1 accuracy.
func (b *Backbone) point(x float64) Point {
	p := Point{X: x, Y: b.Top1.Value, Hollow: b.Eps == 0, Tooltip: fmt.Sprintf("%s (%s): %s %%", b.Name, cmp.Or(b.Training(), kinds[unknown]), percent(b.Top1.Value))}
	if !math.IsNaN(b.Top1.Low) && !math.IsNaN(b.Top1.High) {
		p.Low, p.High = b.Top1.Low, b.Top1.High
	}
	return p
}

// byArch groups the points of backbones by architecture, sorted by name. It also
// returns the number of points.
func (c *Comparison) byArch(point func(*Backbone) (Point, bool)) (groups []Group, points int) {
	at := map[string]int{}
	for i := range c.Models {
		m := &c.Models[i]
		p, ok := point(m)
		if !ok || math.IsNaN(p.X) || math.IsNaN(p.Y) {
			continue
		}
		name := cmp.Or(m.Arch, "architecture not known")
		if _, ok := at[name]; !ok {
			at[name] = len(groups)
			groups = append(groups, Group{Name: name})
		}
		g := &groups[at[name]]
		g.Points = append(g.Points, p)
		points++
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return groups, points
}

// cost plots accuracy against the time that an image takes.
func (c *Comparison) cost() *Plot {
	var times []float64
	groups, points := c.byArch(func(m *Backbone) (Point, bool) {
		p := m.point(math.Log10(1000 / m.ImagesPerSecond))
		times = append(times, p.X)
		p.Tooltip += fmt.Sprintf(", %s images/s", rate(m.ImagesPerSecond))
		return p, m.ImagesPerSecond > 0
	})
	if points < enough {
		return nil
	}
	chart := Chart{
		Title: c.subject() + " against cost", Groups: groups,
		X: Axis{Label: "milliseconds per image, logarithmic", Ticks: decades(times)}, Y: Axis{Label: c.figure(), Percent: true},
	}
	return &Plot{"cost", chart.Draw(), "The time was measured while the features were computed, from file to features. Hollow points are standard training."}
}

// decades are ticks of an axis of logarithms that holds the given ones: at 1, 2 and 5
// times powers of ten, or closer where the values are.
func decades(logs []float64) []Tick {
	logs = slices.DeleteFunc(slices.Clone(logs), func(x float64) bool { return math.IsNaN(x - x) })
	low, high := widened(slices.Min(logs), slices.Max(logs))
	var ticks []Tick
	for _, mantissas := range [][]float64{{1, 2, 5}, {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8}} {
		ticks = nil
		for power := math.Floor(low); power <= high; power++ {
			for _, m := range mantissas {
				if at := power + math.Log10(m); at >= low && at <= high {
					ticks = append(ticks, Tick{at, strconv.FormatFloat(m*math.Pow(10, power), 'g', 6, 64)})
				}
			}
		}
		if len(ticks) >= enough {
			break
		}
	}
	return ticks
}

// eps plots accuracy against the eps of adversarial training in one norm. Standard
// backbones are at 0. Architectures with a single backbone are left out.
func (c *Comparison) eps(norm, title string) *Plot {
	scale := c.epsScale(norm)
	groups, _ := c.byArch(func(m *Backbone) (Point, bool) {
		return m.point(scale.at(m.Eps)), m.Arch != "" && (m.Eps == 0 || m.Norm == norm)
	})
	groups = slices.DeleteFunc(groups, func(g Group) bool { return len(g.Points) < 2 })
	points := 0
	for i := range groups {
		groups[i].Joined = true
		slices.SortStableFunc(groups[i].Points, func(a, b Point) int { return cmp.Compare(a.X, b.X) })
		points += len(groups[i].Points)
	}
	if points < enough || len(scale.values) < 2 {
		return nil
	}
	chart := Chart{
		Title: c.subject() + " against the " + title + " eps of training", Groups: groups,
		X: Axis{Label: title + " eps, logarithmic; 0 is standard training", Ticks: scale.ticks(norm)}, Y: Axis{Label: c.figure(), Percent: true},
	}
	return &Plot{"eps-" + norm, chart.Draw(), "Each line is an architecture; hollow points are standard training."}
}

// epsScale is a logarithmic axis of eps, with 0 half a decade before the smallest.
type epsScale struct{ values []float64 } // those that occur, ascending

func (c *Comparison) epsScale(norm string) epsScale {
	var s epsScale
	for _, m := range c.Models {
		if m.Arch != "" && (m.Eps == 0 || m.Norm == norm && m.Eps > 0) {
			s.values = append(s.values, m.Eps)
		}
	}
	slices.Sort(s.values)
	s.values = slices.Compact(s.values)
	return s
}

func (s epsScale) at(eps float64) float64 {
	i := slices.IndexFunc(s.values, func(v float64) bool { return v > 0 })
	switch {
	case i < 0 || !(eps >= 0):
		return math.NaN()
	case eps == 0:
		return math.Log10(s.values[i]) - 0.5
	}
	return math.Log10(eps)
}

// ticks are at the values that occur, except those too close to the one before.
func (s epsScale) ticks(norm string) []Tick {
	var ticks []Tick
	whole := s.at(s.values[len(s.values)-1]) - s.at(s.values[0])
	for _, v := range s.values {
		at := s.at(v)
		if n := len(ticks); n == 0 || at-ticks[n-1].At > whole/14 {
			ticks = append(ticks, Tick{at, epsText(norm, v)})
		}
	}
	return ticks
}

// imageNet plots accuracy against the published one on ImageNet.
func (c *Comparison) imageNet() *Plot {
	groups, points := c.byArch(func(m *Backbone) (Point, bool) { return m.point(m.ImageNet), true })
	if points < enough {
		return nil
	}
	var x, y []float64
	for _, g := range groups {
		for _, p := range g.Points {
			x, y = append(x, p.X), append(y, p.Y)
		}
	}
	chart := Chart{
		Title: c.subject() + " against published ImageNet top-1", Groups: groups,
		X: Axis{Label: "ImageNet top-1", Percent: true}, Y: Axis{Label: c.figure() + " here", Percent: true},
	}
	caption := "Hollow points are standard training, filled ones robust."
	if line, err := metrics.FitLine(x, y); err == nil {
		chart.Fit = &line
		caption += " The dashed line is that of least squares through all points."
	}
	return &Plot{"imagenet", chart.Draw(), caption}
}

// gain plots the accuracy of each robust backbone minus that of the standard one of
// its architecture: the best of them if there are several.
func (c *Comparison) gain() *Plot {
	standard := map[string]float64{}
	for _, m := range c.Models {
		if v, ok := standard[m.Arch]; m.Arch != "" && m.Eps == 0 && !(ok && v >= m.Top1.Value) && !math.IsNaN(m.Top1.Value) {
			standard[m.Arch] = m.Top1.Value
		}
	}
	var of []Backbone
	for _, m := range c.Models {
		if _, ok := standard[m.Arch]; ok && m.Eps > 0 && !math.IsNaN(m.Top1.Value) {
			of = append(of, m)
		}
	}
	if len(of) < enough {
		return nil
	}
	slices.SortStableFunc(of, func(a, b Backbone) int {
		return cmp.Or(cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Norm, b.Norm), cmp.Compare(a.Eps, b.Eps))
	})
	b := BarChart{Title: "Robust minus standard, by architecture", X: Axis{Label: "difference of " + c.figure() + ", percentage points"}}
	for _, m := range of {
		gain := 100 * (m.Top1.Value - standard[m.Arch])
		b.Bars = append(b.Bars, Bar{Label: m.Arch, Note: m.Norm + " " + epsText(m.Norm, m.Eps), Value: gain, Kind: 0, Text: minus(fmt.Sprintf("%+.2f", gain))})
		if gain < 0 {
			b.Bars[len(b.Bars)-1].Kind = 1
		}
	}
	return &Plot{"gain", b.Draw(), cmp.Or(c.Figure, "Top-1") + " of each robust backbone minus that of the best standard one of its architecture."}
}
