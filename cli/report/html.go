package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
)

//go:embed page.html
var pageText string

var pageTemplate = sync.OnceValue(func() *template.Template { return pageOf("page", pageText) })

//go:embed parts.html
var partsText string

// pageOf is the template of a page, which may use the parts that all pages share.
func pageOf(name, text string) *template.Template {
	return template.Must(template.Must(template.New("parts").Parse(partsText)).New(name).Parse(text))
}

// page is the data of the template, page.html, which calls its methods.
type page struct {
	*Comparison
	inked
	Figures []figure
	Best    []figure // about the best: its confusion matrix, and its mistakes
}

type figure struct {
	SVG     template.HTML
	Caption string
}

// HTML writes the report as a self-contained page, with its styles and drawings. It
// forbids the browser to load anything, follows the reader's choice of light or dark
// mode, and prints on white.
func (c *Comparison) HTML(w io.Writer) error {
	p := page{Comparison: c}
	if len(c.Models) > 0 {
		for _, plot := range c.Plots() {
			f, err := drawn(plot.Drawing.SVG, plot.Caption)
			if err != nil {
				return err
			}
			p.Figures = append(p.Figures, f)
		}
	}
	if m := c.Matrix; m != nil {
		f, err := drawn(func(w io.Writer) error { return Confusion(w, m.Labels, m.Counts) }, m.Caption)
		if err != nil {
			return err
		}
		p.Best = append(p.Best, f)
	}
	if m := c.Mistakes; m != nil && m.Sheet != nil {
		f, err := drawn(m.Sheet.Draw().SVG, m.Caption)
		if err != nil {
			return err
		}
		p.Best = append(p.Best, f)
	}
	return pageTemplate().Execute(w, p)
}

// drawn is a figure of what svg writes.
func drawn(svg func(io.Writer) error, caption string) (figure, error) {
	var b strings.Builder
	err := svg(&b)
	return figure{template.HTML(b.String()), caption}, err
}

// inked gives the data of a template the colours that its styles need.
type inked struct{}

// Inks returns style rules that define the colours of page and drawings as variables
// --i1, --i2 and so on.
func (inked) Inks() template.CSS {
	var light, dark, uses strings.Builder
	for i, c := range inks[1:] {
		n := i + 1
		fmt.Fprintf(&light, " --i%d: %s;", n, hex(c.light))
		fmt.Fprintf(&dark, " --i%d: %s;", n, hex(c.dark))
		fmt.Fprintf(&uses, ".f%d { fill: var(--i%d) } .s%d { stroke: var(--i%d) }\n", n, n, n, n)
	}
	return template.CSS(fmt.Sprintf(":root {%s }\n@media screen and (prefers-color-scheme: dark) { :root {%s } }\n%s", light.String(), dark.String(), uses.String()))
}

func (inked) Robust() int   { return int(first) }
func (inked) Standard() int { return int(first) + 1 }

func (p page) IsRobust(mark string) bool     { return strings.HasPrefix(mark, "robust") }
func (p page) Show(e Estimate) string        { return e.percent() }
func (p page) P(x float64) string            { return pText(x) }
func (p page) Percent(share float64) string  { return percent(share) }
func (p page) Size(input [2]int) string      { return size(input) }
func (p page) Millions(n int64) string       { return millions(n) }
func (p page) Rate(x float64) string         { return rate(x) }
func (p page) NameOf(i int) string           { return p.Models[i].Name }
func (p page) About() string                 { return p.about() }
func (p page) Worst(classes []Class) []Class { return worst(classes) }
func (p page) CutTo(classes []Class) int     { return cutTo(classes) }
func (p page) HasDetails() bool {
	return slices.ContainsFunc(p.Models, func(m Backbone) bool { return len(m.Details)+len(m.Classes) > 0 })
}

// maxClasses is the most classes that a table of the report lists.
const maxClasses = 40

// worst returns the classes with the lowest accuracy, the lowest first and those
// without samples last, at most maxClasses.
func worst(classes []Class) []Class {
	sorted := slices.Clone(classes)
	key := func(c Class) float64 {
		if math.IsNaN(c.Accuracy) {
			return 2
		}
		return c.Accuracy
	}
	slices.SortStableFunc(sorted, func(a, b Class) int { return cmp.Compare(key(a), key(b)) })
	return sorted[:min(maxClasses, len(sorted))]
}

// cutTo is the number of classes that are shown if not all are, else 0.
func cutTo(classes []Class) int {
	if len(classes) > maxClasses {
		return maxClasses
	}
	return 0
}
