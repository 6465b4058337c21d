package cli

import (
	"context"
	"encoding/csv"
	"io"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/featurize/output"
)

// objectsLayout is that of the folders of eval for detections.
var objectsLayout = output.Layout{
	Kind: "detection evaluation",
	Files: slices.Concat([]string{
		"args.yaml", "predictions.json", "per_class.csv", "pr.csv", "pr.svg", "errors.csv", "confusion.csv", "confusion.svg", "report.html",
	}, corruptFiles, []string{"eval.json"}),
	Working: []string{"detected.jsonl", corruptState},
}

// write makes the files of OUT.
func (v *evaluatingObjects) write(ctx context.Context, r *objectEvaluation) error {
	if v.folder == nil {
		return nil
	}
	page, err := v.page(ctx, r)
	if err != nil {
		return err
	}
	if v.file != nil { // else the folder was begun before the detector ran
		if err := v.folder.Begin(v.settings(), v.o.Overwrite); err != nil {
			return err
		}
	}
	labels, counts := r.matrix()
	head := append(v.result("rtx.eval/1", "done", v.folder.Path(), r.fields()), object{{"rtx", buildVersion()}, {"config", v.settings()}}...)
	contents, err := v.corruptionContents(ctx, r)
	if err != nil {
		return err
	}
	contents = append(contents, output.Content{Name: "args.yaml", Write: output.Bytes(v.args)})
	if v.file == nil {
		contents = append(contents, output.Content{Name: "predictions.json", Write: func(w io.Writer) error { return coco.WriteResults(w, v.found) }})
	}
	contents = append(contents,
		output.Content{Name: "per_class.csv", Write: table(r.classRows(share.fraction))},
		output.Content{Name: "pr.csv", Write: table(v.curveRows())},
		output.Content{Name: "pr.svg", Write: v.classCurves().Draw().SVG},
		output.Content{Name: "errors.csv", Write: table(r.errorRows(share.fraction))},
		output.Content{Name: "confusion.csv", Write: table(confusionRows(labels, counts))},
		output.Content{Name: "confusion.svg", Write: func(w io.Writer) error { return report.Confusion(w, labels, slices.Concat(counts...)) }},
		output.Content{Name: "report.html", Write: page.HTML},
		output.Content{Name: "eval.json", Write: output.JSON(head)},
	)
	return nothingWritten(v.folder.Put(ctx, contents...))
}

// table writes rows as CSV.
func table(rows [][]string) func(io.Writer) error {
	return func(w io.Writer) error { return csv.NewWriter(w).WriteAll(rows) }
}

// errorRows is the table of the kinds of errors, with its header.
func (r *objectEvaluation) errorRows(show func(share) string) [][]string {
	rows := [][]string{{"kind", "n", "ap_gain", "about"}}
	for _, k := range r.Errors.Kinds {
		rows = append(rows, []string{k.Kind, strconv.Itoa(k.Count), show(k.AP), errorAbout(k.Kind)})
	}
	return rows
}

func errorAbout(kind string) string {
	for _, name := range errorNames {
		if name[0] == kind {
			return name[1]
		}
	}
	return ""
}

// matrix is the confusion of the classes that occur, and of the background, the last.
func (r *objectEvaluation) matrix() (labels []string, counts [][]int) {
	n := len(r.confusion.Categories) + 1
	var occur []int
	for i := range n {
		sum := 0
		for j := range n {
			sum += r.confusion.Counts[i*n+j] + r.confusion.Counts[j*n+i]
		}
		if sum > 0 || i == n-1 {
			occur = append(occur, i)
		}
	}
	for _, i := range occur {
		label := "background"
		if i < n-1 {
			label = r.confusion.Categories[i].Name
		}
		labels = append(labels, label)
		var row []int
		for _, j := range occur {
			row = append(row, r.confusion.Counts[i*n+j])
		}
		counts = append(counts, row)
	}
	return labels, counts
}

// precisions are those of a category at the recalls of the configuration, of boxes at
// a place among the overlaps; -1 where the category has no objects.
func (v *judged) precisions(category, iou int) (precision, score []float64) {
	c := v.boxes.Config
	n := len(c.Recalls)
	at := (((category*len(c.Areas))*len(c.MaxDets)+len(c.MaxDets)-1)*len(c.IoUs) + iou) * n
	return v.boxes.Precision[at : at+n], v.boxes.Scores[at : at+n]
}

// curveRows is the table of the curves at IoU .5, with its header.
func (v *judged) curveRows() [][]string {
	rows := [][]string{{"label", "iou", "recall", "precision", "score"}}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for k, c := range v.boxes.Categories {
		precision, score := v.precisions(k, 0)
		for i, p := range precision {
			if p >= 0 {
				rows = append(rows, []string{c.Name, number(v.boxes.Config.IoUs[0]), number(v.boxes.Config.Recalls[i]), number(p), number(score[i])})
			}
		}
	}
	return rows
}

// mostCurves is how many classes a chart shows.
const mostCurves = 12

// classCurves shows precision over recall at IoU .5: of the classes with most objects, and
// the mean of all.
func (v *judged) classCurves() *report.Chart {
	c := &report.Chart{Title: "Precision and recall of boxes at IoU .5", X: unit("recall"), Y: unit("precision")}
	c.Groups = append(c.Groups, report.Group{Name: "mean of all classes", Joined: true, Bare: true, Points: v.meanCurve(0)})
	classes := v.boxes.PerClass()
	order := make([]int, len(classes))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return classes[b].Objects - classes[a].Objects })
	for _, k := range order[:min(mostCurves, len(order))] {
		if classes[k].Objects == 0 {
			continue
		}
		var points []report.Point
		precision, _ := v.precisions(k, 0)
		for i, p := range precision {
			if p > 0 { // beyond, the recall is not reached
				points = append(points, report.Point{X: v.boxes.Config.Recalls[i], Y: p})
			}
		}
		c.Groups = append(c.Groups, report.Group{Name: classes[k].Name, Joined: true, Bare: true, Points: points})
	}
	return c
}

// overlapCurves shows the mean over all classes at several overlaps.
func (v *judged) overlapCurves() *report.Chart {
	c := &report.Chart{Title: "Precision and recall of boxes by overlap", X: unit("recall"), Y: unit("precision")}
	for t, iou := range v.boxes.Config.IoUs {
		c.Groups = append(c.Groups, report.Group{Name: "IoU " + strconv.FormatFloat(iou, 'f', 2, 64), Joined: true, Bare: true, Points: v.meanCurve(t)})
	}
	return c
}

func unit(label string) report.Axis { return report.Axis{Label: label, Percent: true, High: 1} }

// meanCurve is the mean precision of all classes with objects, at a place among the
// overlaps, up to the highest recall that is reached.
func (v *judged) meanCurve(iou int) (points []report.Point) {
	for i, recall := range v.boxes.Config.Recalls {
		sum, n := 0.0, 0.0
		for k := range v.boxes.Categories {
			if precision, _ := v.precisions(k, iou); precision[i] >= 0 {
				sum, n = sum+precision[i], n+1
			}
		}
		if sum > 0 {
			points = append(points, report.Point{X: recall, Y: sum / n})
		}
	}
	return points
}
