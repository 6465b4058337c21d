package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/onnx"
)

// evaluation is what rtx.eval/1 says, beside what every result says. Shares are
// fractions.
type evaluation struct {
	Protocol        string            `json:"protocol"` // the split that the figures are of: test, val, train, all or heldout
	Split           string            `json:"split"`
	Top1            share             `json:"top1"`
	Top5            share             `json:"top5"` // of min(5, classes) labels
	MeanPerClass    share             `json:"mean_per_class"`
	N               int               `json:"n"`
	ECE             share             `json:"ece"`
	Skipped         int               `json:"skipped"`
	ImagesPerSecond float64           `json:"images_per_second"`
	Classes         int               `json:"classes"` // of the model
	Scores          string            `json:"scores"`  // what makes probabilities of the logits: softmax or sigmoid
	MultiLabel      bool              `json:"multi_label"`
	Absent          int               `json:"absent"` // classes of the model without images, left out of mean_per_class
	Model           modelFile         `json:"model"`
	Spec            string            `json:"spec"` // "model" or "assumed"
	Device          string            `json:"device"`
	PerClass        []classScore      `json:"per_class"` // the classes that occur as true or as predicted, in the model's order
	Failed          []failure         `json:"failed"`
	Corruptions     *corruptionResult `json:"corruptions,omitempty"`
	Overlap         *overlap          `json:"overlap"` // with the images that the model has seen; null where its file does not say which
	Attacks         []robustness      `json:"attacks,omitempty"`

	confusion [][]int // counts of the classes of PerClass, rows the true ones
}

type modelFile struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

type classScore struct {
	Label     string `json:"label"`
	N         int    `json:"n"`
	Correct   int    `json:"correct"`
	Predicted int    `json:"predicted"`
	Accuracy  share  `json:"accuracy"` // which is the recall
	Precision share  `json:"precision"`
	Recall    share  `json:"recall"`
	F1        share  `json:"f1"`
}

type failure struct {
	Path   featurize.JSONPath `json:"path"`
	Reason string             `json:"error"`
}

// share is a fraction; NaN, one of nothing, is null in JSON.
type share float64

func (s share) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(s)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(s))
}

func (s *share) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*s = share(math.NaN())
		return nil
	}
	return json.Unmarshal(data, (*float64)(s))
}

// percent is for people, "" where there is nothing.
func (s share) percent() string {
	if math.IsNaN(float64(s)) {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100*float64(s))
}

func (s share) fraction() string {
	if math.IsNaN(float64(s)) {
		return ""
	}
	return strconv.FormatFloat(float64(s), 'g', -1, 64)
}

// evaluation puts the figures together.
func (v *evaluating) evaluation() *evaluation {
	mean, absent := v.scores.MeanPerClass()
	r := &evaluation{
		Protocol: v.split, Split: v.split, Top1: share(v.scores.Top1()), Top5: share(v.scores.TopK()), MeanPerClass: share(mean),
		N: v.scores.N(), ECE: share(v.scores.ECE()), Skipped: len(v.failed), ImagesPerSecond: v.imagesPerSecond(),
		Classes: v.output.Classes(), Scores: v.output.Scores, MultiLabel: v.output.MultiLabel(), Absent: absent, Model: modelFile{v.model.Path(), v.sum}, Spec: v.specOrigin(), Device: v.device(),
		PerClass: []classScore{}, Failed: []failure{}, Overlap: v.overlap(),
	}
	for _, f := range v.failed {
		r.Failed = append(r.Failed, failure{featurize.JSONPath(f.Path), f.Reason})
	}
	names := v.logitNames(v.listing.Classes, v.indices)
	var occur []int
	for i, c := range v.scores.PerClass() {
		if c.N == 0 && c.Predicted == 0 {
			continue
		}
		occur = append(occur, i)
		r.PerClass = append(r.PerClass, classScore{names[i], c.N, c.Correct, c.Predicted, share(c.Accuracy), share(c.Precision), share(c.Accuracy), share(c.F1)})
	}
	all := v.scores.Confusion()
	for _, t := range occur {
		var row []int
		for _, p := range occur {
			row = append(row, all[t*r.Classes+p])
		}
		r.confusion = append(r.confusion, row)
	}
	return r
}

var evaluationLayout = output.Layout{
	Kind:    "evaluation",
	Files:   slices.Concat([]string{"args.yaml", "per_class.csv", "confusion.csv", "confusion.svg"}, corruptFiles, attackFiles, []string{"eval.json"}),
	Working: []string{corruptState, attackedFile},
}

// evaluationSettings are what an evaluation depends on.
type evaluationSettings struct {
	featurize.Computation
	Logits  string              `json:"logits"`  // the value of the graph
	Classes string              `json:"classes"` // the places of the data's classes among the logits
	Split   string              `json:"split"`
	Data    string              `json:"data"`
	Corrupt string              `json:"corruptions,omitempty"`
	Base    string              `json:"corrupt_baseline,omitempty"`
	Scores  string              `json:"scores,omitempty"` // what the value holds, where it is not logits for a softmax
	Attacks *evalAttackSettings `json:"attacks,omitempty"`
}

// settings of a stream are known when it has ended.
func (v *evaluating) settings() evaluationSettings {
	o, scores := v.output, ""
	if o.Scores != onnx.Softmax || o.Known && o.Holds != onnx.Logits {
		scores = fmt.Sprintf("%s, %s, threshold %g", o.Holds, o.Scores, o.Threshold)
	}
	return evaluationSettings{v.computed(), o.Value, fmt.Sprint(v.indices), v.split, identity(v.samples), corruptionKey(v.plan), v.baseline, scores, v.attack.settings()}
}

// openFolder locks OUT, where there is one.
func (v *evaluating) openFolder() (err error) {
	if dir := v.o.Out; dir != "" {
		if v.folder, err = output.Open(dir, evaluationLayout); err == nil {
			v.folder.Keep(append(v.model.Files(), v.Model, v.Data, v.config)...)
		}
	}
	return err
}

// there returns the evaluation that OUT holds already, nil where there is
// something to do. Whether it is of the images of a stream is known only when the
// stream has ended.
func (v *evaluating) there() (*evaluation, error) {
	if v.folder == nil || v.o.Overwrite {
		return nil, nil
	}
	if v.listing.Stream != nil && v.samples == nil {
		_, err := v.folder.Compare(nil)
		return nil, err
	}
	begun, err := v.folder.Compare(v.settings())
	if err != nil || !begun || !v.folder.Done() {
		return nil, err
	}
	return readEvaluation[evaluation](v.folder)
}

// readEvaluation reads the eval.json of a folder that is done.
func readEvaluation[T any](f *output.Folder) (*T, error) {
	old := new(T)
	data, err := os.ReadFile(f.Path("eval.json"))
	if err == nil {
		err = json.Unmarshal(data, old)
	}
	if err != nil {
		return nil, fmt.Errorf("output %q: eval.json: %w: %w", f.Path(), err, output.ErrConfig)
	}
	return old, nil
}

// identity tells samples apart by path, label, size and time.
func identity(samples []featurize.Sample) string {
	h := sha256.New()
	for _, s := range samples {
		fmt.Fprintf(h, "%q %q %d %d\n", s.Path, s.Class, s.Size, s.ModTime)
	}
	return fmt.Sprintf("%d images, %s", len(samples), hex.EncodeToString(h.Sum(nil))[:16])
}

// fields is the evaluation with its keys in order.
func (r *evaluation) fields() object {
	all := object{
		{"protocol", r.Protocol}, {"split", r.Split}, {"top1", r.Top1}, {"top5", r.Top5}, {"mean_per_class", r.MeanPerClass},
		{"n", r.N}, {"ece", r.ECE}, {"skipped", r.Skipped}, {"images_per_second", r.ImagesPerSecond}, {"classes", r.Classes}, {"scores", r.Scores}, {"multi_label", r.MultiLabel}, {"absent", r.Absent},
		{"model", r.Model}, {"spec", r.Spec}, {"device", r.Device}, {"per_class", r.PerClass}, {"failed", r.Failed}, {"overlap", r.Overlap},
	}
	if r.Corruptions != nil {
		all = append(all, object{{"corruptions", r.Corruptions}}...)
	}
	if r.Attacks != nil {
		all = append(all, object{{"attacks", r.Attacks}}...)
	}
	return all
}

// write makes the files of OUT.
func (v *evaluating) write(ctx context.Context, r *evaluation) error {
	if v.folder == nil {
		return nil
	}
	settings, ended := v.settings(), nothingWritten
	if v.attack != nil { // all outcomes are in the folder
		ended = func(err error) error {
			if errors.As(err, new(signalled)) {
				return goOn(err, v.o.Overwrite)
			}
			return err
		}
	}
	corruptions, err := v.corruptionContents(ctx, r)
	if err != nil {
		return err
	}
	if v.plan == nil && v.attack == nil { // else the folder was begun before
		if err := v.folder.Begin(settings, v.o.Overwrite); err != nil {
			return err
		}
	}
	labels, counts := make([]string, len(r.PerClass)), slices.Concat(r.confusion...)
	for i, c := range r.PerClass {
		labels[i] = c.Label
	}
	head := append(v.result("rtx.eval/1", "done", v.folder.Path(), r.fields()), object{{"rtx", buildVersion()}, {"config", settings}}...)
	return ended(v.folder.Put(ctx, append(slices.Concat(corruptions, v.attackContents(r.Attacks)),
		output.Content{Name: "args.yaml", Write: output.Bytes(v.args)},
		output.Content{Name: "per_class.csv", Write: func(w io.Writer) error { return csv.NewWriter(w).WriteAll(r.perClassRows(share.fraction)) }},
		output.Content{Name: "confusion.csv", Write: func(w io.Writer) error { return csv.NewWriter(w).WriteAll(confusionRows(labels, r.confusion)) }},
		output.Content{Name: "confusion.svg", Write: func(w io.Writer) error { return report.Confusion(w, labels, counts) }},
		output.Content{Name: "eval.json", Write: output.JSON(head)},
	)...))
}

// perClassRows is the table of the classes, with its header.
func (r *evaluation) perClassRows(show func(share) string) [][]string {
	rows := [][]string{{"label", "n", "correct", "predicted", "accuracy", "precision", "recall", "f1"}}
	for _, c := range r.PerClass {
		rows = append(rows, []string{
			c.Label, strconv.Itoa(c.N), strconv.Itoa(c.Correct), strconv.Itoa(c.Predicted),
			show(c.Accuracy), show(c.Precision), show(c.Recall), show(c.F1),
		})
	}
	return rows
}

func confusionRows(labels []string, counts [][]int) [][]string {
	rows := [][]string{append([]string{"true \\ predicted"}, labels...)}
	for i, row := range counts {
		line := []string{labels[i]}
		for _, n := range row {
			line = append(line, strconv.Itoa(n))
		}
		rows = append(rows, line)
	}
	return rows
}

// report tells what came out.
func (v *evaluating) report(status string, r *evaluation) error {
	if status == "cached" {
		v.tellOverlap(r.Overlap)
		v.tellAttacks(r.Attacks)
	}
	if v.json {
		v.print(v.result("rtx.eval/1", status, v.o.Out, r.fields()))
		return nil
	}
	var failed []featurize.Failure
	for _, f := range r.Failed {
		failed = append(failed, featurize.Failure{Path: string(f.Path), Reason: f.Reason})
	}
	v.tellFailures(failed, "; eval.json lists all")
	if status == "cached" {
		v.note("nothing to do: %s holds this evaluation", v.o.Out)
	} else {
		v.note("%d images, %d skipped; %.0f images/s", r.N, r.Skipped, r.ImagesPerSecond)
	}
	if err := r.tables(v.stdout); err != nil {
		return err
	}
	if r.Corruptions != nil {
		return r.Corruptions.tables(v.stdout)
	}
	return attackTables(v.stdout, r.Attacks)
}

// tables writes the figures for people: first those of all images, then those
// of each class, or of the worst where there are many.
func (r *evaluation) tables(w io.Writer) error {
	const most = 40
	all := [][]string{{"images", strconv.Itoa(r.N)}, {"split", r.Split}, {"top-1", r.Top1.percent()}}
	if r.Classes > 5 {
		all = append(all, []string{"top-5", r.Top5.percent()})
	}
	all = append(all, []string{"mean per-class", r.MeanPerClass.percent()}, []string{"ECE", r.ECE.percent()})
	if err := report.Table(w, all); err != nil {
		return err
	}
	fmt.Fprintln(w)
	some := *r
	if len(r.PerClass) > most {
		some.PerClass = slices.DeleteFunc(slices.Clone(r.PerClass), func(c classScore) bool { return c.N == 0 })
		slices.SortStableFunc(some.PerClass, func(a, b classScore) int { return cmp.Compare(a.Accuracy, b.Accuracy) })
		some.PerClass = some.PerClass[:min(most/2, len(some.PerClass))]
	}
	rows := some.perClassRows(share.percent)
	for i := range rows {
		rows[i] = slices.Delete(rows[i], 6, 7) // the recall, which is the accuracy
	}
	if err := report.Table(w, rows); err != nil {
		return err
	}
	if len(some.PerClass) < len(r.PerClass) {
		fmt.Fprintf(w, "... the worst %d of %d classes; --out lists all\n", len(some.PerClass), len(r.PerClass))
	}
	return nil
}
