package cli

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize/output"
)

// attackFiles are the results.
var attackFiles = []string{"robust.csv", "robust.svg", "outcomes.csv"}

// attackContents are the files of attacks, if there are any.
func (v *evaluating) attackContents(all []robustness) []output.Content {
	if all == nil {
		return nil
	}
	return []output.Content{
		{Name: "robust.csv", Write: func(w io.Writer) error { return csv.NewWriter(w).WriteAll(robustRows(all)) }},
		{Name: "robust.svg", Write: func(w io.Writer) error { return robustDrawing(all).SVG(w) }},
		{Name: "outcomes.csv", Write: func(w io.Writer) error { return csv.NewWriter(w).WriteAll(v.outcomeRows()) }},
	}
}

func robustRows(all []robustness) [][]string {
	rows := [][]string{{"threat", "norm", "eps", "method", "steps", "restarts", "n", "clean_top1", "robust_top1", "sd", "low", "high", "robust_mean_per_class"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.Threat, r.Norm, strconv.FormatFloat(r.Eps, 'g', -1, 64), r.Method, strconv.Itoa(r.Settings.Steps), strconv.Itoa(r.Settings.Restarts), strconv.Itoa(r.N),
			r.CleanTop1.fraction(), r.RobustTop1.fraction(), r.Spread.SD.fraction(), r.Spread.Low.fraction(), r.Spread.High.fraction(), r.RobustMeanPerClass.fraction(),
		})
	}
	return rows
}

// outcomeRows has a row for each attack that was asked for and each image.
func (v *evaluating) outcomeRows() [][]string {
	names := v.logitNames(v.listing.Classes, v.indices)
	rows := [][]string{{"threat", "path", "class", "clean", "robust", "by", "predicted", "distance", "gradients", "forwards"}}
	for _, r := range v.attack.runs {
		if r.kind != asked {
			continue
		}
		for _, s := range v.attack.rows {
			o := r.outcomes[s.Path]
			rows = append(rows, []string{
				r.config.Threat.String(), s.Path, s.Class, strconv.FormatBool(o.Clean), strconv.FormatBool(o.Robust), o.By,
				names[o.Predicted], strconv.FormatFloat(o.Distance, 'g', 6, 64), strconv.Itoa(o.Gradients), strconv.Itoa(o.Forwards),
			})
		}
	}
	return rows
}

// robustDrawing is a chart for each norm: accuracy by radius, from clean accuracy on.
func robustDrawing(all []robustness) *report.Drawing {
	var charts []*report.Drawing
	title := attackTitle(all)
	for _, some := range byNorm(all) {
		slices.SortFunc(some, func(a, b robustness) int { return cmp.Compare(a.Eps, b.Eps) })
		g := report.Group{Name: some[0].Method, Joined: true, Points: []report.Point{{Y: float64(some[0].CleanTop1), Tooltip: "clean: " + some[0].CleanTop1.percent()}}}
		for _, r := range some {
			g.Points = append(g.Points, report.Point{
				X: r.Eps, Y: float64(r.RobustTop1), Low: float64(r.Spread.Low), High: float64(r.Spread.High),
				Tooltip: fmt.Sprintf("%s: %s", r.Threat, r.RobustTop1.percent()),
			})
		}
		c := report.Chart{Title: title, X: report.Axis{Label: some[0].Norm + " radius of the attack, in [0,1] pixels"}, Y: report.Axis{Label: "top-1 accuracy", Percent: true}, Groups: []report.Group{g}}
		charts = append(charts, c.Draw())
	}
	if len(charts) == 1 {
		return charts[0]
	}
	return report.Stack(title, charts...)
}

// attackTables writes the figures for people, and those of the classes or, where there
// are many, of the least robust.
func attackTables(w io.Writer, all []robustness) error {
	if all == nil {
		return nil
	}
	const most = 40
	fmt.Fprintln(w)
	rows := [][]string{{"attack", "method", "clean", "robust", "±", "robust per-class"}}
	for _, r := range all {
		rows = append(rows, []string{r.Threat, r.Settings.text(), r.CleanTop1.percent(), r.RobustTop1.percent(), r.Spread.SD.percent(), r.RobustMeanPerClass.percent()})
	}
	if err := report.Table(w, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	head := []string{"label", "n", "clean"}
	for _, r := range all {
		head = append(head, r.Threat)
	}
	order := make([]int, len(all[0].PerClass))
	for i := range order {
		order[i] = i
	}
	if len(order) > most {
		last := all[len(all)-1].PerClass
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(shareOf(last[a].Robust, last[a].N), shareOf(last[b].Robust, last[b].N))
		})
		order = order[:most/2]
	}
	rows = [][]string{head}
	for _, i := range order {
		c := all[0].PerClass[i]
		row := []string{c.Label, strconv.Itoa(c.N), shareOf(c.Clean, c.N).percent()}
		for _, r := range all {
			row = append(row, shareOf(r.PerClass[i].Robust, r.PerClass[i].N).percent())
		}
		rows = append(rows, row)
	}
	if err := report.Table(w, rows); err != nil {
		return err
	}
	if len(order) < len(all[0].PerClass) {
		fmt.Fprintf(w, "... the least robust %d of %d classes; --out lists all\n", len(order), len(all[0].PerClass))
	}
	return nil
}
