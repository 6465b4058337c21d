package cli

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
)

// errNoValidation is the error for data without images to compare detectors by.
var errNoValidation = fmt.Errorf("a split val, or --val-fraction of rtx detect, is needed: %w", featurize.ErrData)

// backbones are the lines of the report, the best first.
func (d *comparingDetectors) backbones() (all []report.Backbone) {
	for place, one := range d.runs {
		b := report.Backbone{
			Name: one.name, Rank: d.order.Ranks[place], Arch: one.spec.Arch, N: len(d.truth.Images), P: d.order.P[place], Parameters: one.parameters,
			Top1: report.Estimate{Value: d.order.AP[place], SD: d.order.Spread[place].SD, Low: d.order.Spread[place].Low, High: d.order.Spread[place].High},
		}
		d.tellTraining(&b, one.model, one.spec)
		all = append(all, b)
	}
	return all
}

// masksAP is the mean AP of masks over the seeds; NaN: they were not judged.
func (one *detectorRun) masksAP() float64 {
	sum := 0.0
	for _, v := range one.segm {
		sum += v
	}
	return sum / float64(len(one.segm))
}

// seedsAP are the AP of boxes of each seed.
func (one *detectorRun) seedsAP() (all []float64) {
	for _, e := range one.boxes {
		all = append(all, e.Summary().AP)
	}
	return all
}

// rows is the table for people.
func (d *comparingDetectors) rows() [][]string {
	rows := [][]string{{"rank", "model", "trained", "box AP", "AP50", "mask AP", "each seed", "p against the best"}}
	for place, b := range d.backbones() {
		p := ""
		if !math.IsNaN(b.P) {
			p = fmt.Sprintf("%.2g", b.P)
		}
		var seeds []string
		for _, ap := range d.runs[place].seedsAP() {
			seeds = append(seeds, hundredths(share(ap)))
		}
		rows = append(rows, []string{
			fmt.Sprint(b.Rank), b.Name, b.Training(), hundredths(share(b.Top1.Value)) + " ± " + hundredths(share(b.Top1.SD)), hundredths(share(d.order.AP50[place])),
			hundredths(share(d.runs[place].masksAP())), strings.Join(seeds, " "), p,
		})
	}
	if !d.masks {
		for i, row := range rows {
			rows[i] = slices.Delete(row, 5, 6)
		}
	}
	return rows
}

// csvRows is results.csv.
func (d *comparingDetectors) csvRows() [][]string {
	number := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	rows := [][]string{{"rank", "model", "training", "norm", "eps", "arch", "imagenet_top1", "n", "ap", "ap_sd", "ap_low", "ap_high", "ap50", "segm_ap", "p_vs_best", "seeds", "parameters"}}
	for place, b := range d.backbones() {
		rows = append(rows, []string{
			strconv.Itoa(b.Rank), b.Name, b.Training(), b.Norm, number(b.Eps), b.Arch, number(b.ImageNet), strconv.Itoa(b.N), number(b.Top1.Value), number(b.Top1.SD), number(b.Top1.Low), number(b.Top1.High),
			number(d.order.AP50[place]), number(d.runs[place].masksAP()), number(b.P), strconv.Itoa(len(d.runs[place].boxes)), strconv.FormatInt(b.Parameters, 10),
		})
	}
	return rows
}

// fields are what rtx.compare/1 says.
func (d *comparingDetectors) fields() object {
	var ranking []object
	for place, b := range d.backbones() {
		one := d.runs[place]
		var seeds []object
		for i, ap := range one.seedsAP() {
			seeds = append(seeds, object{{"seed", one.result.Seeds[i].Seed}, {"ap", share(ap)}, {"epoch", epochOf(one.result.Seeds[i].Best)}, {"test", detectScore(one.result.Seeds[i].Test)}})
		}
		ranking = append(ranking, object{
			{"model", one.model}, {"name", b.Name}, {"rank", b.Rank}, {"ap", share(b.Top1.Value)}, {"sd", share(b.Top1.SD)}, {"low", share(b.Top1.Low)}, {"high", share(b.Top1.High)},
			{"ap50", share(d.order.AP50[place])}, {"segm_ap", share(one.masksAP())}, {"n", b.N}, {"p_vs_best", share(b.P)}, {"arch", b.Arch}, {"norm", b.Norm}, {"eps", share(b.Eps)}, {"imagenet_top1", share(b.ImageNet)},
			{"parameters", b.Parameters}, {"seeds", seeds}, {"run", d.runOf(b.Name)},
		})
	}
	pairs := []object{}
	for _, p := range d.order.Pairs {
		pairs = append(pairs, object{{"a", d.runs[p.A].name}, {"b", d.runs[p.B].name}, {"difference", share(p.Value)}, {"low", share(p.Low)}, {"high", share(p.High)}, {"p", share(p.Holm)}})
	}
	failed := []object{}
	for _, f := range d.failed {
		failed = append(failed, object{{"model", f.Model}, {"error", f.Reason}})
	}
	return object{{"task", "detect"}, {"ranking", ranking}, {"best", d.runs[0].model}, {"failed", failed}, {"protocol", "val"}, {"pairs", pairs}}
}

// page is report.html.
func (d *comparingDetectors) page() (*report.Page, error) {
	c := &report.Comparison{Figure: "AP of boxes", Models: d.backbones(), Spread: "± is the standard deviation, and bars the 95 % interval, over 1,000 bootstrap samples of the validation images and of the seeds."}
	first := d.runs[0].result
	p := &report.Page{
		Title: "Which backbone finds the objects of " + filepath.Base(filepath.Clean(d.Data)) + " best?", Answer: c.Answer(),
		Facts: []report.Fact{
			{Name: "data", Value: d.Data}, {Name: "validation images", Value: fmt.Sprint(len(d.truth.Images))}, {Name: "objects in them", Value: fmt.Sprint(len(d.truth.Annotations))},
			{Name: "heads", Value: first.Kind + ", the same on all backbones"}, {Name: "training", Value: fmt.Sprintf("%d steps at learning rate %g; the same recipe, and for each seed the same order of images", first.Seeds[0].Steps, first.Seeds[0].LearningRate)},
			{Name: "seeds", Value: fmt.Sprint(len(first.Seeds))},
		},
		Notes: slices.DeleteFunc(slices.Clone(d.warnings), func(w string) bool {
			return slices.ContainsFunc(d.failed, func(f report.Failure) bool { return w == f.Model+": "+f.Reason })
		}),
		Commands: []string{d.command}, Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}},
	}
	rows := d.rows()
	order := report.Section{
		Title: "Order", Table: &report.Grid{Header: rows[0], Rows: rows[1:], Texts: []int{1, 2}},
		Note: "In percent. A rank is one more than the number of backbones that are better and told apart, by the paired bootstrap over images and seeds, Holm-corrected. The validation images have also chosen the epoch of each training, for all backbones alike. With few seeds the spread over trainings is only roughly in the tests.",
	}
	for _, plot := range c.Plots() {
		order.Figures = append(order.Figures, report.Figure{SVG: plot.Drawing.SVG, Caption: plot.Caption})
	}
	p.Sections = append(p.Sections, order)
	for _, add := range []func() report.Section{d.pairSection, d.failedSection} {
		if s := add(); len(s.Table.Rows) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	return p, d.addPictures(p)
}

func (d *comparingDetectors) pairSection() report.Section {
	g := &report.Grid{Header: []string{"", "AP of boxes", "95 % interval", "p"}}
	for _, pair := range d.order.Pairs {
		g.Rows = append(g.Rows, []string{
			d.runs[pair.A].name + " minus " + d.runs[pair.B].name, hundredths(share(pair.Value)), hundredths(share(pair.Low)) + " to " + hundredths(share(pair.High)), strconv.FormatFloat(pair.Holm, 'g', 2, 64),
		})
	}
	return report.Section{Title: "Every two of them", Table: g, Note: "Differences of percentages; p is Holm-corrected."}
}

func (d *comparingDetectors) failedSection() report.Section {
	g := &report.Grid{Header: []string{"model", "why"}, Texts: []int{1}}
	for _, f := range d.failed {
		g.Rows = append(g.Rows, []string{f.Model, f.Reason})
	}
	return report.Section{Title: "Failed", Table: g}
}

// addPictures adds what the detector of the best backbone has found in the last of its
// pictures.
func (d *comparingDetectors) addPictures(p *report.Page) error {
	best := d.runs[0]
	names, err := filepath.Glob(filepath.Join(d.runOf(best.name), best.result.Seeds[0].Dir, "val", "epoch-*.jpg"))
	if len(names) == 0 {
		return err
	}
	slices.Sort(names)
	pictures, err2 := sheets(names[len(names)-1])
	p.Sections = append(p.Sections, report.Section{Title: "What the best one finds", Pictures: pictures, Note: "Validation images: left what they show, right what its last epoch finds. Right detections have thin lines, false ones dotted lines, and missed objects dashed lines."})
	return errors.Join(err, err2)
}
