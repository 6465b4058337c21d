package cli

import (
	"context"
	"fmt"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/seen"
)

// evaluatingObjects is one call of eval for detections: those of a file, or those of a
// detector.
type evaluatingObjects struct {
	detecting
	o          evalOptions
	args       []byte
	command    string
	file       *predictionsFile     // nil: a detector makes them
	other      *predictionsFile     // of --against; nil: none
	categories map[int]int64        // ids of the data, by the detector's classes
	folder     *output.Folder       // nil: nothing is kept
	plan       []corrupt.Corruption // nil: none
	seen       *seen.Record         // of the detector

	judged
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
	for _, flag := range []string{"batch-size", "device", "precision", "threads", "onnxruntime", "on-error", "max-skipped", "exif-rotate", "normalize", "input-size", "range", "channels", "form", "labels", "corrupt", "corrupt-baseline"} {
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
		return &usageError{msg: "--split heldout is of classifiers; of detectors it is told how many images they were trained on", hint: "--split test, val, train or all"}
	}
	if v.Data == "-" {
		return &usageError{msg: "--data is -, and objects cannot be read from standard input", hint: "name a folder, an archive or a file of annotations"}
	}
	if err := oneOf("metric", v.metric(), "coco", "voc07", "voc10"); err != nil {
		return err
	}
	if v.o.Rounding != "" {
		if err := oneOf("voc-rounding", v.o.Rounding, "d2"); err != nil {
			return err
		}
		if v.metric() == "coco" {
			return &usageError{msg: "--voc-rounding goes with --metric voc07 or voc10, and --metric is coco"}
		}
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
	found, err := v.evaluate(ctx)
	if err == nil {
		err = v.evalCorruptions(ctx, found)
	}
	if err == nil {
		err = v.write(ctx, found)
	}
	switch {
	case err != nil && (v.file != nil || v.folder == nil):
		return nothingWritten(err)
	case err != nil:
		return err
	}
	return v.report("done", found)
}

// addMasks makes the masks of the objects where the detections have masks.
func (v *evaluatingObjects) addMasks(ctx context.Context) error {
	if !v.withMasks() {
		if n := v.withoutMask(); n < len(v.found) {
			v.warn("%d of %d detections have no mask: boxes alone are judged", n, len(v.found))
		}
		return nil
	}
	if err := v.truth.addMasks(ctx); err != nil {
		return err
	}
	if !v.truth.masks {
		v.warn("the detections have masks, and not all objects of %s have one: boxes alone are judged", v.Data)
	}
	return nil
}

// evaluate judges boxes, and masks where both sides have them. It ends between two steps
// when ctx does.
func (v *evaluatingObjects) evaluate(ctx context.Context) (*objectEvaluation, error) {
	var err error
	if v.boxes, err = v.evaluation(v.found, false); err != nil {
		return nil, err
	}
	if v.truth.masks && ctx.Err() == nil {
		if v.masks, err = v.evaluation(v.found, true); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := v.figures()
	v.tellStrays(r)
	v.tellReadings(r)
	if v.file != nil {
		v.tellEmpty(v.file)
	}
	for _, step := range []func(context.Context, *objectEvaluation) error{v.countSeen, v.analyse, v.voc, v.against} {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := step(ctx, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// figures puts the result together.
func (v *evaluatingObjects) figures() *objectEvaluation {
	r := v.judged.figures()
	r.Metric, r.Predictions, r.Skipped = v.metric(), v.file, len(v.failed)
	if v.file == nil {
		speed := share(v.imagesPerSecond())
		r.Model, r.ImagesPerSecond = &modelFile{v.model.Path(), v.sum}, &speed
	}
	return r
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
	if err := r.tables(v.stdout); err != nil || r.Corruptions == nil {
		return err
	}
	return r.Corruptions.tables(v.stdout)
}
