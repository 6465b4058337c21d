package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/coco"
)

// page is report.html.
func (v *evaluatingObjects) page(ctx context.Context, r *objectEvaluation) (*report.Page, error) {
	what := filepath.Base(v.o.Predictions)
	if v.file == nil {
		what = v.model.Name()
	}
	p := &report.Page{
		Title:  fmt.Sprintf("How well does %s find the objects of %s?", what, filepath.Base(filepath.Clean(v.Data))),
		Answer: r.answer(),
		Facts: []report.Fact{
			{Name: "data", Value: v.Data + ", " + r.splitText()}, {Name: "images", Value: strconv.Itoa(r.N)},
			{Name: "objects", Value: strconv.Itoa(r.Objects) + crowdText(r.Crowds)}, {Name: "classes", Value: strconv.Itoa(r.Classes)},
			{Name: "detections", Value: strconv.Itoa(r.Detections)},
		},
		Notes:    v.warnings,
		Commands: []string{v.command},
		Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}},
	}
	p.Sections = []report.Section{v.figureSection(r), v.sizeSection(r)}
	if r.Against != nil {
		p.Sections = append(p.Sections, r.againstSection())
	}
	worst, err := v.worstSection(ctx, r)
	if err != nil {
		return nil, err
	}
	p.Sections = append(p.Sections, r.errorSection(), worst, v.curveSection(), r.classSection(), r.confusionSection())
	return p, nil
}

// answer is the result in a sentence.
func (r *objectEvaluation) answer() string {
	text := fmt.Sprintf("AP of boxes %s %%, 95 %% interval %s to %s; AP50 %s %%.", hundredths(r.BBox.AP), hundredths(r.Spread.BBox.AP.Low), hundredths(r.Spread.BBox.AP.High), hundredths(r.BBox.AP50))
	if r.Segm != nil {
		text += fmt.Sprintf(" AP of masks %s %%.", hundredths(r.Segm.AP))
	}
	if b := r.Best; b != nil {
		text += fmt.Sprintf(" Detections with a score of at least %.2f have the highest F1: %.0f %% of them are right, and %.0f %% of the objects are found.", float64(b.Score), 100*float64(b.Precision), 100*float64(b.Recall))
	}
	return text
}

func (r *objectEvaluation) splitText() string {
	if r.Split == "all" {
		return "all images"
	}
	return "split " + r.Split
}

func crowdText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d crowds, which do not count", n)
}

func (v *judged) figureSection(r *objectEvaluation) report.Section {
	rows := r.figureRows()
	s := report.Section{
		Title: "COCO's figures", Table: &report.Grid{Header: rows[0], Rows: rows[1:]},
		Note: "In percent, by the rules of pycocotools. AP is the mean over IoU .5 to .95; AR1, AR10 and AR100 are the recalls with at most so many detections of an image and class. Intervals are of 1,000 bootstrap samples of the images; the spread over training runs is not in them.",
	}
	if f := r.VOC; f != nil {
		s.Note += fmt.Sprintf(" By the rules of Pascal VOC (%s%s): AP50 %s %%, AP75 %s %%, AP over IoU .5 to .95 %s %%.", f.Metric, map[string]string{"d2": ", rounded as Detectron2 does"}[f.Rounding], hundredths(f.AP50), hundredths(f.AP75), hundredths(f.AP))
	}
	return s
}

// sizeSection tells the figures by the size of objects.
func (v *judged) sizeSection(r *objectEvaluation) report.Section {
	count := map[string]int{}
	for _, a := range v.truth.Annotations {
		for _, area := range v.boxes.Config.Areas {
			if !a.Crowd && a.Area >= area.Min && a.Area <= area.Max {
				count[area.Name]++
			}
		}
	}
	g := &report.Grid{Header: []string{"size", "pixels", "objects", "AP", "AR100"}}
	for _, row := range []struct {
		name, pixels string
		ap, ar       share
	}{
		{coco.AreaSmall, "up to 32x32", r.BBox.APs, r.BBox.ARs}, {coco.AreaMedium, "to 96x96", r.BBox.APm, r.BBox.ARm}, {coco.AreaLarge, "from 96x96", r.BBox.APl, r.BBox.ARl},
	} {
		g.Rows = append(g.Rows, []string{row.name, row.pixels, strconv.Itoa(count[row.name]), hundredths(row.ap), hundredths(row.ar)})
	}
	return report.Section{Title: "By size", Table: g, Note: "Sizes are areas of objects in pixels of the image."}
}

func (r *objectEvaluation) againstSection() report.Section {
	d := r.Against
	g := &report.Grid{Header: []string{"", "difference", "95 % interval", "p"}}
	add := func(name string, t differenceTest) {
		g.Rows = append(g.Rows, []string{name, hundredths(t.Value), hundredths(t.Low) + " to " + hundredths(t.High), strconv.FormatFloat(t.P, 'g', 2, 64)})
	}
	add("AP of boxes", d.BBox.AP)
	add("AP50 of boxes", d.BBox.AP50)
	if d.Segm != nil {
		add("AP of masks", d.Segm.AP)
		add("AP50 of masks", d.Segm.AP50)
	}
	return report.Section{Title: "Against " + d.File, Table: g, Note: "These detections minus those, in percent, by a paired bootstrap over images. It tells whether other images would give the same sign; it does not tell what another training run would give."}
}

// errorSection shows the kinds of errors.
func (r *objectEvaluation) errorSection() report.Section {
	chart := report.BarChart{Title: "What AP50 would gain without a kind of errors", X: report.Axis{Label: "gain", Percent: true}, Kinds: []string{""}}
	g := &report.Grid{Header: []string{"kind", "errors", "gain"}}
	for _, k := range r.Errors.Kinds {
		chart.Bars = append(chart.Bars, report.Bar{Label: k.Kind, Note: strconv.Itoa(k.Count), Value: float64(k.AP), Text: hundredths(k.AP)})
		g.Rows = append(g.Rows, []string{k.Kind + ": " + errorAbout(k.Kind), strconv.Itoa(k.Count), hundredths(k.AP)})
	}
	return report.Section{
		Title: "What goes wrong", Table: g, Figures: []report.Figure{{SVG: chart.Draw().SVG}},
		Note: "Kinds of errors of boxes at IoU .5, after TIDE (Bolya et al. 2020). Each gain is of that kind of errors alone, so that they do not add up.",
	}
}

func (v *judged) curveSection() report.Section {
	return report.Section{Title: "Precision and recall", Figures: []report.Figure{
		{SVG: v.classCurves().Draw().SVG, Caption: fmt.Sprintf("At most %d classes are shown, those with most objects.", mostCurves)},
		{SVG: v.overlapCurves().Draw().SVG, Caption: "Means over all classes."},
	}}
}

func (r *objectEvaluation) classSection() report.Section {
	rows := r.classRows(hundredths)
	g := &report.Grid{Header: rows[0], Rows: rows[1:]}
	if len(g.Rows) > mostObjectClasses {
		g.Summary = fmt.Sprintf("%d classes", len(g.Rows))
	}
	return report.Section{Title: "Classes", Table: g, Note: "In percent. best_score is the score from which on the detections of the class have the highest F1 at IoU .5; precision and recall are those of that score."}
}

func (r *objectEvaluation) confusionSection() report.Section {
	labels, counts := r.matrix()
	var flat []int
	for _, row := range counts {
		flat = append(flat, row...)
	}
	return report.Section{Title: "Confusion", Figures: []report.Figure{{
		SVG:     func(w io.Writer) error { return report.Confusion(w, labels, flat) },
		Caption: fmt.Sprintf("Detections with a score of at least %.3f, paired with the objects that they overlap most, at IoU .5. The last row counts detections where there is nothing, the last column objects that were not detected.", r.score()),
	}}}
}
