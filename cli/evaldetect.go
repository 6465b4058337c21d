package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/featurize/output"
)

// evaluatingObjects is one call of eval for detections: those of a file, or those of a
// detector.
type evaluatingObjects struct {
	detecting
	o          evalOptions
	args       []byte
	command    string
	truth      *truth
	file       *predictionsFile // nil: a detector makes them
	other      *predictionsFile // of --against; nil: none
	found      []coco.Detection
	categories map[int]int64  // ids of the data, by the detector's classes
	folder     *output.Folder // nil: nothing is kept

	boxes, masks *coco.Evaluation // nil: not judged
}

// evalPredictions is eval with a file of predictions, without a model.
func (e *env) evalPredictions(c *cli.Context, o evalOptions) error {
	v := &evaluatingObjects{detecting: detecting{network: network{env: e, networkOptions: o.network()}}, o: o, command: commandLine(c)}
	if err := v.checkFile(c); err != nil {
		return err
	}
	var err error
	if v.truth, err = v.readTruth(c.Context, v.dataOptions, o.Split); err != nil {
		return err
	}
	defer v.truth.set.Close()
	if v.file, err = v.readPredictions("predictions", o.Predictions, v.truth); err != nil {
		return err
	}
	v.found = v.file.detections
	return v.judge(c.Context)
}

// checkFile looks at the options alone.
func (v *evaluatingObjects) checkFile(c *cli.Context) error {
	if err := required("rtx eval --predictions P.json -d DATA", "data", v.Data); err != nil {
		return err
	}
	if v.Model != "" {
		return &usageError{msg: "--model and --predictions are given, expected one of them", hint: "--predictions judges a file without a model"}
	}
	for _, flag := range []string{"batch-size", "device", "precision", "threads", "onnxruntime", "on-error", "max-skipped", "exif-rotate", "normalize", "input-size", "range", "channels", "form", "labels"} {
		if c.IsSet(flag) {
			return &usageError{msg: fmt.Sprintf("--%s is of running a model, and --predictions runs none", flag), hint: "leave it out"}
		}
	}
	return v.checkObjects(c)
}

// checkObjects looks at the options of judging detections.
func (v *evaluatingObjects) checkObjects(c *cli.Context) (err error) {
	if err := classifiersOnly(c); err != nil {
		return err
	}
	if v.o.Split == heldOut {
		return &usageError{msg: "--split heldout is of classifiers, whose files tell what they were trained on", hint: "--split test, val, train or all"}
	}
	if v.Data == "-" {
		return &usageError{msg: "--data is -, and objects cannot be read from standard input", hint: "name a folder, an archive or a file of annotations"}
	}
	if err := oneOf("metric", v.metric(), "coco", "voc07", "voc10"); err != nil {
		return err
	}
	if v.o.Rounding && v.metric() == "coco" {
		return &usageError{msg: "--voc-rounding goes with --metric voc07 or voc10, and --metric is coco"}
	}
	if v.o.Split != "" {
		if err := oneOf("split", v.o.Split, "test", "val", "train", "all"); err != nil {
			return err
		}
	}
	v.args, err = recordedOptions(&v.o)
	return err
}

// judge compares the detections with the truth, and tells and keeps what comes out.
func (v *evaluatingObjects) judge(ctx context.Context) error {
	if v.o.Against != "" {
		var err error
		if v.other, err = v.readPredictions("against", v.o.Against, v.truth); err != nil {
			return err
		}
	}
	if err := v.openFolder(); err != nil {
		return err
	}
	if v.folder != nil {
		defer v.folder.Close()
	}
	there, err := v.there()
	if err != nil {
		return err
	}
	if there != nil {
		return v.report("cached", there)
	}
	if v.file == nil {
		if err := v.detect(ctx); err != nil {
			return err
		}
	}
	if err := v.addMasks(ctx); err != nil {
		return err
	}
	found, err := v.evaluate()
	if err != nil {
		return err
	}
	if err := v.write(ctx, found); err != nil {
		return err
	}
	return v.report("done", found)
}

// addMasks makes the masks of the objects where the detections have masks.
func (v *evaluatingObjects) addMasks(ctx context.Context) error {
	if !v.withMasks() {
		return nil
	}
	if err := v.truth.addMasks(ctx); err != nil {
		return err
	}
	if !v.truth.masks {
		v.warn("the detections have masks, and not all objects of %s do: boxes alone are judged", v.Data)
	}
	return nil
}

// evaluate judges boxes, and masks where both sides have them.
func (v *evaluatingObjects) evaluate() (*objectEvaluation, error) {
	var err error
	if v.boxes, err = v.evaluation(v.found, false); err != nil {
		return nil, err
	}
	if v.truth.masks {
		if v.masks, err = v.evaluation(v.found, true); err != nil {
			return nil, err
		}
	}
	r := v.figures()
	v.tellStrays(r)
	v.tellReadings(r)
	if err := v.analyse(r); err != nil {
		return nil, err
	}
	if err := v.voc(r); err != nil {
		return nil, err
	}
	return r, v.against(r)
}

func (v *evaluatingObjects) evaluation(found []coco.Detection, masks bool) (*coco.Evaluation, error) {
	e, err := coco.Evaluate(&v.truth.Dataset, found, coco.Config{Masks: masks})
	if err != nil {
		return nil, fmt.Errorf("%q: %w", v.Data, err)
	}
	return e, nil
}

// withMasks reports whether every detection has a mask.
func (v *evaluatingObjects) withMasks() bool {
	return len(v.found) > 0 && !slices.ContainsFunc(v.found, func(d coco.Detection) bool { return d.Mask == nil })
}

// figures puts the result together.
func (v *evaluatingObjects) figures() *objectEvaluation {
	r := &objectEvaluation{
		Protocol: v.truth.split, Split: v.truth.split, N: len(v.truth.Images), Detections: len(v.found), Classes: len(v.truth.Categories),
		Metric: v.metric(), BBox: figuresOf(v.boxes.Summary()), Strays: v.boxes.Strays.Detections, Predictions: v.file,
		PerClass: []objectClass{}, Skipped: len(v.failed),
	}
	if v.file == nil {
		speed := share(v.imagesPerSecond())
		r.Model, r.ImagesPerSecond = &modelFile{v.model.Path(), v.sum}, &speed
	}
	for _, a := range v.truth.Annotations {
		if a.Crowd {
			r.Crowds++
		} else {
			r.Objects++
		}
	}
	for _, c := range v.boxes.PerClass() {
		r.PerClass = append(r.PerClass, objectClass{
			Label: c.Name, ID: c.ID, N: c.Objects, Detections: c.Detections, AP: share(c.AP), AP50: share(c.AP50), AP75: share(c.AP75),
		})
	}
	if v.masks != nil {
		r.Segm = figuresOf(v.masks.Summary())
		for i, c := range v.masks.PerClass() {
			ap, ap50 := share(c.AP), share(c.AP50)
			r.PerClass[i].SegmAP, r.PerClass[i].SegmAP50 = &ap, &ap50
		}
	}
	return r
}

// tellStrays warns of detections of classes that the data do not have.
func (v *evaluatingObjects) tellStrays(r *objectEvaluation) {
	if r.Strays == 0 {
		return
	}
	known, strange := map[int64]bool{}, map[int64]bool{}
	for _, c := range v.truth.Categories {
		known[c.ID] = true
	}
	for _, d := range v.found {
		if !known[d.CategoryID] {
			strange[d.CategoryID] = true
		}
	}
	v.warn("%d of %d detections are of %d classes that the data do not have, and count for nothing, as in pycocotools; category_id %s, and the data have %s", r.Strays, r.Detections, len(strange), idList(strange), idList(known))
}

// tellReadings warns where next to nothing is found, or most detections are of unknown
// classes, and the detections read in another way would find much more: labels counted
// from another number, boxes of another form.
func (v *evaluatingObjects) tellReadings(r *objectEvaluation) {
	const nothing, much = 0.01, 0.1
	few := max(10, r.Objects/10)
	if r.Detections < few || !(float64(r.BBox.AP50) < nothing) && 2*r.Strays < r.Detections {
		return
	}
	other, err := coco.OtherReading(&v.truth.Dataset, v.found)
	if err != nil || !(other.AP50 >= max(much, 2*float64(r.BBox.AP50))) {
		return // it is an aid for people, not a result
	}
	words := other.Labels
	if other.Boxes != "" && words != "" {
		words += ", and " + other.Boxes
	} else if words == "" {
		words = other.Boxes
	}
	v.warn("AP50 is %s; if %s, it would be %s: see how the file was written (the figures here are as it stands)", hundredths(r.BBox.AP50)+" %", words, hundredths(share(other.AP50))+" %")
}

// objectSettings are what an evaluation of detections depends on.
type objectSettings struct {
	Predictions string            `json:"predictions,omitempty"` // SHA-256
	Detector    *detectorSettings `json:"detector,omitempty"`
	Against     string            `json:"against,omitempty"`
	Split       string            `json:"split"`
	Data        string            `json:"data"`
	Metric      string            `json:"metric"`
	Rounding    bool              `json:"voc_rounding"`
}

func (v *evaluatingObjects) settings() objectSettings {
	s := objectSettings{Split: v.truth.split, Data: v.truth.identity(), Metric: v.metric(), Rounding: v.o.Rounding}
	if v.file != nil {
		s.Predictions = v.file.SHA256
	} else {
		s.Detector = v.detectorSettings()
	}
	if v.other != nil {
		s.Against = v.other.SHA256
	}
	return s
}

// openFolder locks OUT, where there is one.
func (v *evaluatingObjects) openFolder() (err error) {
	if dir := v.o.Out; dir != "" {
		if v.folder, err = output.Open(dir, objectsLayout); err == nil {
			v.folder.Keep(v.Data, v.config, v.o.Predictions, v.o.Against)
			if v.model != nil {
				v.folder.Keep(append(v.model.Files(), v.Model)...)
			}
		}
	}
	return err
}

// there returns the evaluation that OUT holds already; nil: there is something to do.
func (v *evaluatingObjects) there() (*objectEvaluation, error) {
	if v.folder == nil || v.o.Overwrite {
		return nil, nil
	}
	begun, err := v.folder.Compare(v.settings())
	if err != nil || !begun || !v.folder.Done() {
		return nil, err
	}
	old := &objectEvaluation{}
	data, err := os.ReadFile(v.folder.Path("eval.json"))
	if err == nil {
		err = json.Unmarshal(data, old)
	}
	if err != nil {
		return nil, fmt.Errorf("output %q: eval.json: %w: %w", v.folder.Path(), err, output.ErrConfig)
	}
	return old, nil
}

// report tells what came out.
func (v *evaluatingObjects) report(status string, r *objectEvaluation) error {
	if v.json {
		v.print(v.result("rtx.eval/1", status, v.o.Out, r.fields()))
		return nil
	}
	switch {
	case status == "cached":
		v.note("nothing to do: %s holds this evaluation", v.o.Out)
	case v.file == nil:
		v.tellFailures(v.failed, "")
		v.note("%d images, %d skipped; %.1f images/s", v.done, len(v.failed), v.imagesPerSecond())
	}
	return r.tables(v.stdout)
}
