package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/coco"
)

// objectEvaluation is what rtx.eval/1 says of detections, beside what every result says.
type objectEvaluation struct {
	Protocol        string            `json:"protocol"` // the split that the figures are of
	Split           string            `json:"split"`
	N               int               `json:"n"` // images
	Objects         int               `json:"objects"`
	Crowds          int               `json:"crowds"`
	Detections      int               `json:"detections"`
	Classes         int               `json:"classes"` // of the data
	Metric          string            `json:"metric"`
	BBox            *objectFigures    `json:"bbox"`
	Segm            *objectFigures    `json:"segm"` // null: masks are not judged
	VOC             *vocFigures       `json:"voc"`  // null: --metric does not ask for it
	Spread          *objectSpread     `json:"spread"`
	Best            *bestScore        `json:"best"` // over all classes
	Errors          *objectErrors     `json:"errors"`
	Against         *objectDifference `json:"against"` // null: nothing to compare with
	PerClass        []objectClass     `json:"per_class"`
	Strays          int               `json:"strays"` // detections of classes that the data do not have
	Predictions     *predictionsFile  `json:"predictions"`
	Model           *modelFile        `json:"model"`
	Skipped         int               `json:"skipped"`
	Overlap         *overlap          `json:"overlap"`           // with the images that the model has seen; null where its file does not say which
	ImagesPerSecond *share            `json:"images_per_second"` // null: no model ran
	Corruptions     *corruptionResult `json:"corruptions,omitempty"`

	confusion *coco.Confusion
}

// objectFigures are COCO's twelve figures; null where an average of nothing has no value.
type objectFigures struct {
	AP    share `json:"ap"`
	AP50  share `json:"ap50"`
	AP75  share `json:"ap75"`
	APs   share `json:"ap_s"`
	APm   share `json:"ap_m"`
	APl   share `json:"ap_l"`
	AR1   share `json:"ar1"`
	AR10  share `json:"ar10"`
	AR100 share `json:"ar100"`
	ARs   share `json:"ar_s"`
	ARm   share `json:"ar_m"`
	ARl   share `json:"ar_l"`
}

func figuresOf(s coco.Summary) *objectFigures {
	return &objectFigures{
		share(s.AP), share(s.AP50), share(s.AP75), share(s.APs), share(s.APm), share(s.APl),
		share(s.AR1), share(s.AR10), share(s.AR100), share(s.ARs), share(s.ARm), share(s.ARl),
	}
}

// objectClass is a class of the data. Best is of boxes at IoU .5.
type objectClass struct {
	Label      string     `json:"label"`
	ID         int64      `json:"id"`
	N          int        `json:"n"` // objects
	Detections int        `json:"detections"`
	AP         share      `json:"ap"`
	AP50       share      `json:"ap50"`
	AP75       share      `json:"ap75"`
	SegmAP     *share     `json:"segm_ap,omitempty"` // absent: masks are not judged
	SegmAP50   *share     `json:"segm_ap50,omitempty"`
	VOCAP50    *share     `json:"voc_ap50,omitempty"` // absent: --metric does not ask for it
	Best       *bestScore `json:"best"`               // null: nothing of the class is found
}

// bestScore is the score from which on detections have the highest F1.
type bestScore struct {
	Score     share `json:"score"`
	F1        share `json:"f1"`
	Precision share `json:"precision"`
	Recall    share `json:"recall"`
}

// figureNames are the columns of a table of figures.
var figureNames = []string{"", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large", "AR1", "AR10", "AR100"}

// row is the figures for people, in percent.
func (f *objectFigures) row(of string) []string {
	row := []string{of}
	for _, s := range []share{f.AP, f.AP50, f.AP75, f.APs, f.APm, f.APl, f.AR1, f.AR10, f.AR100} {
		row = append(row, hundredths(s))
	}
	return row
}

// hundredths is a fraction in percent, "-" for none.
func hundredths(s share) string {
	if math.IsNaN(float64(s)) {
		return "-"
	}
	return strconv.FormatFloat(100*float64(s), 'f', 2, 64)
}

// figureRows are the tables of figures: of boxes, and of masks where they are judged.
func (r *objectEvaluation) figureRows() [][]string {
	rows := [][]string{figureNames}
	if r.BBox != nil {
		rows = append(rows, r.BBox.row("boxes"))
	}
	if r.Segm != nil {
		rows = append(rows, r.Segm.row("masks"))
	}
	return rows
}

// moreRows are the figures beyond COCO's, for people.
func (r *objectEvaluation) moreRows() [][]string {
	interval := func(s spreadRange) string { return hundredths(s.Low) + " to " + hundredths(s.High) }
	rows := [][]string{{"AP, 95 % interval over images", interval(r.Spread.BBox.AP)}}
	if r.Spread.Segm != nil {
		rows = append(rows, []string{"AP of masks, the same", interval(r.Spread.Segm.AP)})
	}
	if v := r.VOC; v != nil {
		rows = append(rows, []string{v.Metric + " AP50", hundredths(v.AP50)}, []string{v.Metric + " AP75", hundredths(v.AP75)}, []string{v.Metric + " AP .5 to .95", hundredths(v.AP)})
	}
	if b := r.Best; b != nil {
		rows = append(rows, []string{"highest F1 at IoU .5", hundredths(b.F1)}, []string{"from this score on", fmt.Sprintf("%.3f", float64(b.Score))})
	}
	if d := r.Against; d != nil {
		rows = append(rows, []string{"AP minus that of " + d.File, hundredths(d.BBox.AP.Value)}, []string{"its 95 % interval", interval(d.BBox.AP.spreadRange)}, []string{"p", strconv.FormatFloat(d.BBox.AP.P, 'g', 2, 64)})
	}
	for _, k := range r.Errors.Kinds {
		rows = append(rows, []string{k.Kind + " errors", strconv.Itoa(k.Count)})
	}
	return rows
}

// classRows is the table of the classes, with its header.
func (r *objectEvaluation) classRows(show func(share) string) [][]string {
	header := []string{"label", "n", "detections", "ap", "ap50", "ap75"}
	if r.Segm != nil {
		header = append(header, "segm_ap", "segm_ap50")
	}
	rows := [][]string{append(header, "best_score", "f1", "precision", "recall")}
	for _, c := range r.PerClass {
		row := []string{c.Label, strconv.Itoa(c.N), strconv.Itoa(c.Detections), show(c.AP), show(c.AP50), show(c.AP75)}
		if r.Segm != nil {
			row = append(row, show(*c.SegmAP), show(*c.SegmAP50))
		}
		best := []string{"", "", "", ""}
		if b := c.Best; b != nil {
			best = []string{fmt.Sprintf("%.3f", float64(b.Score)), show(b.F1), show(b.Precision), show(b.Recall)}
		}
		rows = append(rows, append(row, best...))
	}
	return rows
}

// tables writes the figures for people: first those of all classes, then those of each,
// or of the worst where there are many.
func (r *objectEvaluation) tables(w io.Writer) error {
	counts := [][]string{{"images", strconv.Itoa(r.N)}, {"split", r.Split}, {"objects", strconv.Itoa(r.Objects)}, {"detections", strconv.Itoa(r.Detections)}}
	if err := report.Table(w, counts); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := report.Table(w, r.figureRows()); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := report.Table(w, r.moreRows()); err != nil {
		return err
	}
	fmt.Fprintln(w)
	some := *r
	some.PerClass = worstObjectClasses(r.PerClass)
	if err := report.Table(w, some.classRows(hundredths)); err != nil {
		return err
	}
	if len(some.PerClass) < len(r.PerClass) {
		fmt.Fprintf(w, "... the worst %d of %d classes; --out lists all\n", len(some.PerClass), len(r.PerClass))
	}
	return nil
}

// fields is the evaluation with its keys in order.
func (r *objectEvaluation) fields() object {
	all := object{
		{"protocol", r.Protocol}, {"split", r.Split}, {"n", r.N}, {"objects", r.Objects}, {"crowds", r.Crowds}, {"detections", r.Detections}, {"classes", r.Classes},
		{"metric", r.Metric}, {"bbox", r.BBox}, {"segm", r.Segm}, {"voc", r.VOC}, {"spread", r.Spread}, {"best", r.Best}, {"errors", r.Errors}, {"against", r.Against},
		{"per_class", r.PerClass}, {"strays", r.Strays}, {"predictions", r.Predictions}, {"model", r.Model}, {"skipped", r.Skipped}, {"overlap", r.Overlap}, {"images_per_second", r.ImagesPerSecond},
	}
	if r.Corruptions != nil {
		all = append(all, object{{"corruptions", r.Corruptions}}...)
	}
	return all
}

// mostObjectClasses is how many classes a table for people lists.
const mostObjectClasses = 40

// worstObjectClasses are all classes, or those of the lowest AP where there are many.
func worstObjectClasses(all []objectClass) []objectClass {
	if len(all) <= mostObjectClasses {
		return all
	}
	some := slices.DeleteFunc(slices.Clone(all), func(c objectClass) bool { return c.N == 0 })
	slices.SortStableFunc(some, func(a, b objectClass) int { return cmp.Compare(a.AP, b.AP) })
	return some[:min(mostObjectClasses/2, len(some))]
}

// idList is a few ids for people: those that are next to each other as ranges.
func idList(ids map[int64]bool) string {
	const most = 6
	sorted := slices.Sorted(maps.Keys(ids))
	var parts []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		if len(parts) == most {
			return strings.Join(parts, ", ") + ", ..."
		}
		part := strconv.FormatInt(sorted[i], 10)
		if j > i {
			part += " to " + strconv.FormatInt(sorted[j], 10)
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
