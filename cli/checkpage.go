package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/data"
)

// page writes check.html.
func (k *checking) page(ctx context.Context, r *data.Report, c *checkResult, w io.Writer) error {
	p := &report.Page{
		Title: "Data set " + filepath.Base(filepath.Clean(k.data)), Answer: c.answer(), Facts: []report.Fact{{Name: "form", Value: dataForms[c.Format]}, {Name: "sizes", Value: c.sizes()}},
		Notes: append(slices.Clone(c.Notes), k.warnings...), Commands: []string{k.command}, Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}},
	}
	p.Sections = append(p.Sections, c.flawSection(), c.splitSection(), c.classSection(), c.sizeSection())
	pictures := newPictures(k.set)
	defer pictures.decoder.Close()
	for _, o := range r.Odd {
		s := report.Section{Title: "Odd boxes: " + string(o.Kind), Text: fmt.Sprintf("%d %s.", o.Count, o.Kind.Text())}
		var err error
		if s.Pictures, err = pictures.odd(ctx, o); err != nil {
			return err
		}
		p.Sections = append(p.Sections, s)
	}
	if len(c.Files.Groups) > 0 {
		p.Sections = append(p.Sections, c.copySection())
	}
	for _, split := range k.set.Splits() {
		s := report.Section{Title: "Samples of " + splitName(split)}
		if split == "" {
			s.Title = "Samples"
		}
		var err error
		if s.Pictures, err = pictures.samples(ctx, split); err != nil {
			return err
		}
		if len(s.Pictures) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	return p.HTML(w)
}

// answer is the result in a sentence.
func (c *checkResult) answer() string {
	s := fmt.Sprintf("%d images show %d objects of %d classes.", c.Images, c.Objects, c.Classes)
	if c.Classes == 1 {
		s = fmt.Sprintf("%d images show %d objects of one class.", c.Images, c.Objects)
	}
	switch n := len(c.flaws()); {
	case c.Unusable != "":
		return s + " They cannot be used: " + strings.TrimPrefix(c.Unusable, "data: ") + "."
	case n == 0:
		return s + " No flaws were found."
	case n == 1:
		return s + " One kind of flaw was found."
	default:
		return s + fmt.Sprintf(" %d kinds of flaws were found.", n)
	}
}

func (c *checkResult) flawSection() report.Section {
	s := report.Section{Title: "Flaws", Text: "Flaws of the annotations, what was done about them, and what is worth a look."}
	g := &report.Grid{Header: []string{"what", "the first"}, Texts: []int{1}}
	for _, f := range c.flaws() {
		g.Rows = append(g.Rows, []string{f.text, f.first})
	}
	if len(g.Rows) == 0 {
		s.Text = "None were found."
		return s
	}
	s.Table = g
	return s
}

func (c *checkResult) splitSection() report.Section {
	rows := c.splitRows()
	s := report.Section{Title: "Splits", Table: &report.Grid{Header: rows[0], Rows: rows[1:]}}
	for _, split := range c.Splits {
		h := report.Histogram{Title: "Objects per image", X: "objects", Labels: countsOf(split.PerImage.Edges), Counts: split.PerImage.Counts}
		for n := len(h.Counts); n > 3 && h.Counts[n-1] == 0; n-- {
			h.Labels, h.Counts = h.Labels[:n-1], h.Counts[:n-1]
		}
		if split.Name != "" {
			h.Title += ", " + split.Name
		}
		s.Figures = append(s.Figures, report.Figure{SVG: h.Draw().SVG})
	}
	return s
}

// mostBars is the most classes that are drawn.
const mostBars = 40

func (c *checkResult) classSection() report.Section {
	sorted := slices.Clone(c.PerClass)
	slices.SortStableFunc(sorted, func(a, b checkedClass) int { return -cmp.Compare(a.Objects, b.Objects) })
	chart := report.BarChart{Title: "Objects per class", X: report.Axis{Label: "objects"}}
	for _, one := range sorted[:min(mostBars, len(sorted))] {
		chart.Bars = append(chart.Bars, report.Bar{Label: one.Name, Value: float64(one.Objects), Text: strconv.Itoa(one.Objects), Note: c.shares(one)})
	}
	rows := c.classTable()
	g := &report.Grid{Header: rows[0], Rows: rows[1:]}
	s := report.Section{Title: "Classes", Table: g, Note: "Small, medium and large are areas below 32x32, below 96x96, and above, as COCO counts them."}
	if len(g.Rows) > mostBars {
		g.Summary = fmt.Sprintf("%d classes", len(g.Rows))
		s.Note = fmt.Sprintf("Drawn are the %d most frequent. ", mostBars) + s.Note
	}
	if len(chart.Bars) > 0 {
		s.Figures = []report.Figure{{SVG: chart.Draw().SVG}}
	}
	return s
}

// shares tells how the objects of a class are spread over the splits; "" where there are
// no splits.
func (c *checkResult) shares(one checkedClass) string {
	var parts []string
	for _, s := range c.Splits {
		if !c.unsplit() && one.Objects > 0 {
			parts = append(parts, fmt.Sprintf("%s %.0f %%", splitName(s.Name), 100*float64(one.InSplit[s.Name])/float64(one.Objects)))
		}
	}
	return strings.Join(parts, ", ")
}

func (c *checkResult) sizeSection() report.Section {
	relative := report.Histogram{Title: "Sizes", X: "square root of the box's area over that of the image's, %", Counts: c.Boxes.Relative.Counts}
	percents := slices.Clone(c.Boxes.Relative.Edges)
	for i := range percents {
		percents[i] *= 100
	}
	relative.Labels = rangesOf(percents, whole)
	aspect := report.Histogram{Title: "Aspect ratios", X: "width over height", Labels: rangesOf(c.Boxes.Aspect.Edges, ratio), Counts: c.Boxes.Aspect.Counts}
	side := c.Boxes.Side
	return report.Section{
		Title:   "Boxes",
		Text:    fmt.Sprintf("Half of the boxes have a side (the square root of the area) of %.0f pixels or less; 5 %% are below %.0f, and 5 %% above %.0f.", side.P50, side.P5, side.P95),
		Figures: []report.Figure{{SVG: relative.Draw().SVG}, {SVG: aspect.Draw().SVG}},
	}
}

// rangesOf names the ranges between edges.
func rangesOf(edges []share, show func(share) string) (labels []string) {
	for i, to := range edges[1:] {
		label := show(edges[i]) + "–" + show(to)
		if math.IsNaN(float64(to)) {
			label = "≥" + show(edges[i])
		}
		labels = append(labels, label)
	}
	return labels
}

// countsOf names ranges of whole numbers by their first and last ones; the last range has
// no end.
func countsOf(edges []share) (labels []string) {
	for i, to := range edges[1:] {
		from := edges[i]
		switch {
		case i+2 == len(edges):
			labels = append(labels, "≥"+whole(from))
		case to-from == 1:
			labels = append(labels, whole(from))
		default:
			labels = append(labels, whole(from)+"–"+whole(to-1))
		}
	}
	return labels
}

func whole(v share) string { return strconv.FormatFloat(float64(v), 'f', 0, 64) }

// ratio writes a ratio below one as a fraction of small numbers.
func ratio(v share) string {
	for below := 1; below <= 8; below++ {
		if above := math.Round(float64(v) * float64(below)); v < 1 && math.Abs(float64(v)*float64(below)-above) < 1e-9 && above > 0 {
			return fmt.Sprintf("%.0f/%d", above, below)
		}
	}
	return strconv.FormatFloat(float64(v), 'g', 3, 64)
}

func (c *checkResult) copySection() report.Section {
	g := &report.Grid{Header: []string{"images", "by", "in several splits"}}
	const most = 50
	for _, one := range c.Files.Groups[:min(most, len(c.Files.Groups))] {
		var names []string
		for i, p := range one.Paths {
			if i == 4 {
				names = append(names, fmt.Sprintf("and %d more", len(one.Paths)-i))
				break
			}
			names = append(names, fmt.Sprintf("%s (%s)", string(p), splitName(one.Splits[i])))
		}
		g.Rows = append(g.Rows, []string{strings.Join(names, ", "), one.By, map[bool]string{true: "yes", false: "no"}[one.Across]})
	}
	return report.Section{
		Title: "Images that occur more than once", Table: g,
		Text: "By file: the data name one file several times. By bytes: files of the same contents. By pixels: files that decode to the same pixels. By look: images that are alike when they are made as small as 9x9, as one is that was coded or scaled anew; mirrored and cut ones are not found.",
	}
}
