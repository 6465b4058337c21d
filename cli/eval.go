package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune/metrics"
)

func evalCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "measure a classifier or a detector on labelled images",
		Description: "DATA is what featurize takes, with labels. Its classes are those of the model that have\n" +
			"the same names. top5 is the accuracy of the first five labels, of all where the model\n" +
			"has fewer; ece is the expected calibration error in 15 bins of equal width. Of a\n" +
			"multi-label model, whose classes have a sigmoid each, the most probable class counts as\n" +
			"predicted, and its own probability as the confidence. OUT gets\n" +
			"eval.json, per_class.csv, confusion.csv and confusion.svg; the same command again\n" +
			"tells what is there. Of images on standard input (-d -) it is known when they have been\n" +
			"read whether OUT holds their evaluation, or another, which is left as it is.\n" +
			"Models of finetune, compare and probe --attach know the images that they were trained on\n" +
			"and chosen by, by the contents of the files: eval warns of those, and --split heldout\n" +
			"leaves them out.\n" +
			"--corrupt evaluates under common corruptions as well (Hendrycks and Dietterich 2019), after\n" +
			"resizing and cropping, of a detector on the image itself (Michaelis et al. 2019). Their\n" +
			"strengths are those of ImageNet-C, or of CIFAR-10-C for networks of inputs below 64x64. Frost is\n" +
			"computed, and not comparable with published figures. OUT gets corruptions.csv,\n" +
			"corruptions.svg and corruptions.html, with samples; it is gone on with after an interruption.\n" +
			"With --groups DATA are images that have the shape of one of 16 classes and the texture of\n" +
			"another (Geirhos et al. 2019), as their names say. The classes of ImageNet are grouped into\n" +
			"the 16 as published; those of other models are found by name. OUT gets eval.json and groups.csv.\n" +
			"Detections are judged by COCO's rules, as pycocotools does: those of a detector, or those\n" +
			"that --predictions holds, for which neither a model nor onnxruntime is needed. DATA is then\n" +
			"a data set for detection in the form of COCO, Pascal VOC or YOLO; its split is test, else\n" +
			"val, else all images. Classes of a detector are found in the data by their names. OUT gets\n" +
			"eval.json, predictions.json, per_class.csv, pr.csv, pr.svg, errors.csv, confusion.csv,\n" +
			"confusion.svg and report.html, with the images that have most errors. The same command\n" +
			"goes on with an unfinished OUT.\n" +
			attackDescription,
		Flags: slices.Concat([]cli.Flag{
			text("model", "", "the classifier: an ONNX or PyTorch `FILE`, or a name of rtx models", "m"),
		}, dataFlags(), []cli.Flag{
			text("out", "", "the `FOLDER` of the results", "o"),
			text("split", "", "`WHICH` images to take: test, val, train, all, or heldout, those of all that the model was neither trained on nor chosen by (default: test, or all where there is no test split)"),
			text("predictions", "", "judge the detections of a COCO results `FILE` instead of a model's; DATA is a detection data set"),
			text("against", "", "a second COCO results `FILE`: tell whether the detections differ from it by more than chance"),
			text("metric", "", "`RULES` that detections are judged by: coco, or voc07 or voc10 beside them, Pascal VOC's of 2007 (11 points) or from 2010 on (default: coco)"),
			text("voc-rounding", "", "`HOW` detections are rounded before they are judged by VOC's rules: d2, as Detectron2 does, scores to 3 decimals and boxes to 1 (default: they are not)"),
			toggle("groups", "judge images of one shape and another texture, by names such as cat1-elephant3.png: accuracy by either, shape bias"),
		}, corruptFlags(), attackFlags(), detectorFlags(), runFlags(), skipFlags(), outputFlags(), []cli.Flag{
			toggle("overwrite", "start over where OUT holds something else"),
		}, specFlags()),
		Action: func(c *cli.Context) error { return e.eval(c) },
	}
}

// evalOptions are those of the verb, in the order of args.yaml.
type evalOptions struct {
	Model string `flag:"model"`
	dataOptions
	Out         string `flag:"out"`
	Split       string `flag:"split"`
	Predictions string `flag:"predictions"`
	Against     string `flag:"against"`
	Metric      string `flag:"metric"`
	Rounding    string `flag:"voc-rounding"`
	Groups      bool   `flag:"groups"`
	corruptOptions
	attackOptions
	detectorOptions
	runOptions
	skipOptions
	Library   string `flag:"onnxruntime"`
	Overwrite bool   `flag:"overwrite"`
	specOptions
}

// network are the options of what runs the network.
func (o *evalOptions) network() networkOptions {
	return networkOptions{Model: o.Model, dataOptions: o.dataOptions, runOptions: o.runOptions, skipOptions: o.skipOptions, Engine: o.Engine, Library: o.Library, specOptions: o.specOptions}
}

// evaluating is one call of the verb.
type evaluating struct {
	classifier
	o        evalOptions
	split    string
	samples  []featurize.Sample // of the split; of a stream, when it has ended
	indices  []int              // of the data's classes among the logits
	scores   *metrics.Scores
	ranked   map[string][]metrics.Ranked // of a stream's images, whose labels are not known yet
	seen     *seen.Record
	uses     map[string]seen.Use // of images that the model has seen, by path
	args     []byte
	command  string
	folder   *output.Folder       // nil: nothing is kept
	plan     []corrupt.Corruption // nil: none
	baseline string               // SHA-256 of --corrupt-baseline
	attack   *evalAttack          // nil: images are not attacked
}

func (e *env) eval(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	var o evalOptions
	readOptions(c, &o)
	ctx := c.Context
	if err := o.checkAttack(); err != nil {
		return err
	}
	if o.Groups {
		if err := checkGroups(c); err != nil {
			return err
		}
	}
	if o.Predictions != "" {
		return e.evalPredictions(c, o)
	}
	v := &evaluating{classifier: classifier{network: network{env: e, networkOptions: o.network()}}, o: o, uses: map[string]seen.Use{}, command: commandLine(c)}
	if err := v.check(); err != nil {
		return err
	}
	var err error
	if v.model, err = v.openModel(v.Model); err != nil {
		return err
	}
	kind, err := detectorKind(v.model, o.Form)
	if err != nil {
		return err
	}
	if kind != "" && o.Attack != "" {
		return &usageError{msg: fmt.Sprintf("--attack is not for detectors yet, and %q is one", o.Model), hint: "leave it out"}
	}
	if kind != "" {
		return e.evalDetector(c, o, v.model, kind)
	}
	if err := detectorsOnly(c); err != nil {
		return err
	}
	if err := v.load(); err != nil {
		return err
	}
	if err := v.checkCorrupt(); err != nil {
		return err
	}
	if o.Groups {
		return v.evalGroups(ctx)
	}
	if v.seen, err = seenBy(v.model); err != nil {
		return err
	}
	if err := v.checkHeldOut(); err != nil {
		return err
	}
	if err := v.source(ctx); err != nil {
		return err
	}
	defer v.listing.Close()
	if err := v.refuseStream(); err != nil {
		return err
	}
	v.tellNotes()
	if v.listing.Stream == nil {
		if err := v.choose(); err != nil {
			return err
		}
	}
	if err := v.openNetwork(ctx); err != nil {
		return err
	}
	defer v.closeNetwork()
	if v.output.MultiLabel() {
		v.warn("an image counts as right where its class is the most probable of all; ECE is of that class's own probability")
	}
	if v.listing.Stream == nil {
		if err := v.match(); err != nil {
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
	if err := v.run(ctx); err != nil {
		return err
	}
	if err := v.attackImages(ctx); err != nil {
		return err
	}
	if v.listing.Stream != nil {
		if there, err = v.there(); err != nil {
			return err
		}
		if there != nil {
			return v.report("cached", there)
		}
	}
	found := v.evaluation()
	if found.Attacks, err = v.robustness(); err != nil {
		return err
	}
	v.tellOverlap(found.Overlap)
	if err := v.evalCorruptions(ctx, found); err != nil {
		return err
	}
	v.tellAttacks(found.Attacks)
	if err := v.write(ctx, found); err != nil {
		return err
	}
	return v.report("done", found)
}

// check looks at the options alone.
func (v *evaluating) check() error {
	if err := required("rtx eval -m MODEL.onnx -d IMAGES", "model", v.Model, "data", v.Data); err != nil {
		return err
	}
	if v.o.Split != "" {
		if err := oneOf("split", v.o.Split, "test", "val", "train", "all", heldOut); err != nil {
			return err
		}
	}
	v.batch = v.BatchSize
	if err := v.networkOptions.check(); err != nil {
		return err
	}
	if err := v.checkSkips(); err != nil {
		return err
	}
	var err error
	v.args, err = recordedOptions(&v.o)
	return err
}

// choose takes the labelled images of the split.
func (v *evaluating) choose() error {
	var splits []string
	for _, s := range v.listing.Samples {
		if s.Split != "" && !slices.Contains(splits, s.Split) {
			splits = append(splits, s.Split)
		}
	}
	v.split = v.o.Split
	switch {
	case v.split == "" && slices.Contains(splits, "test"):
		v.split = "test"
	case v.split == "":
		v.split = "all"
		if len(splits) > 0 {
			v.warn("there is no test split; all images are taken (%s)", strings.Join(splits, ", "))
		}
	case v.split != "all" && v.split != heldOut && !slices.Contains(splits, v.split):
		return hinted{fmt.Errorf("the data have no split %q, found %q: %w", v.split, splits, featurize.ErrData), "--split all takes all images"}
	}
	unlabelled := 0
	for _, s := range v.listing.Samples {
		switch {
		case v.split != "all" && v.split != heldOut && s.Split != v.split:
		case s.Class == "":
			unlabelled++
		default:
			v.samples = append(v.samples, s)
		}
	}
	if len(v.samples) == 0 {
		return hinted{fmt.Errorf("none of the %d images has a label: %w", unlabelled, featurize.ErrData), "labels are the names of class folders, or the column label of a list; rtx predict needs none"}
	}
	if unlabelled > 0 {
		v.warn("%d images without a label are passed over", unlabelled)
	}
	return nil
}

// match finds the samples' classes among those of the model, which must have all.
func (v *evaluating) match() error {
	var err error
	if v.indices, err = v.classIndices(v.listing.Classes); err != nil {
		return err
	}
	var unknown []string
	for _, s := range v.samples {
		if v.indices[s.Label] < 0 && !slices.Contains(unknown, s.Class) {
			unknown = append(unknown, s.Class)
		}
	}
	if len(unknown) > 0 {
		return v.unknown(unknown)
	}
	return nil
}

// run scores the images.
func (v *evaluating) run(ctx context.Context) error {
	v.scores = metrics.New(v.output.Classes(), metrics.Config{})
	samples, total := v.listing.All(), 0
	if v.listing.Stream != nil {
		v.ranked = map[string][]metrics.Ranked{}
	} else {
		total = len(v.samples)
		samples = func(yield func(featurize.Sample, error) bool) {
			for _, s := range v.samples {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
	if v.o.Split == heldOut {
		samples = v.unseen(samples)
	}
	err := v.predictAll(ctx, samples, total, v.scores.K(), v.score)
	v.tellNotes()
	if err == nil && v.listing.Stream != nil {
		err = v.scoreStream()
	}
	var sig signalled
	if errors.As(err, &sig) {
		return hinted{partial{err, v.result("rtx.eval/1", "interrupted", v.o.Out, object{{"n", v.scores.N()}})}, startsOver}
	}
	if err != nil {
		return err
	}
	return v.checkSkipped()
}

// score adds a batch of predictions to the scores. Those of a stream are kept until
// its classes and splits are known.
func (v *evaluating) score(batch []prediction) error {
	for _, j := range batch {
		v.use(j.Path, j.sum)
		switch {
		case j.err != nil && v.OnError == "fail":
			return fmt.Errorf("%q: %w: %w", j.Path, j.err, featurize.ErrData)
		case j.err != nil:
		case v.ranked != nil:
			v.ranked[j.Path] = j.top
		default:
			if err := v.scores.AddTop(j.top, v.indices[j.Label]); err != nil {
				return err
			}
			if v.attack != nil {
				v.attack.rows = append(v.attack.rows, j.Sample)
			}
		}
	}
	return nil
}

// scoreStream scores the predictions of a stream that has ended, of which the
// classes and splits are now known.
func (v *evaluating) scoreStream() error {
	if err := v.choose(); err != nil {
		return err
	}
	if err := v.match(); err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, s := range v.samples {
		taken[s.Path] = true
		if top, ok := v.ranked[s.Path]; ok {
			if err := v.scores.AddTop(top, v.indices[s.Label]); err != nil {
				return err
			}
		}
	}
	v.failed = slices.DeleteFunc(v.failed, func(f featurize.Failure) bool { return !taken[f.Path] })
	return nil
}

// checkSkipped fails where more images were skipped than --max-skipped allows.
func (v *evaluating) checkSkipped() error {
	total, skipped := v.left(), len(v.failed)
	if total == 0 {
		return v.noneHeldOut()
	}
	if v.scores.N() == 0 {
		return v.noneUsable()
	}
	limit, err := v.maxSkipped()
	if err != nil {
		return err
	}
	if got := float64(skipped) / float64(total); got > limit {
		f := v.failed[0]
		return fmt.Errorf("%d of %d images (%.3g%%) cannot be used, at most %.3g%% may be; the first, %q: %s: %w", skipped, total, 100*got, 100*limit, f.Path, f.Reason, featurize.ErrData)
	}
	if skipped > 0 {
		v.warn("%d of %d images cannot be used and are left out of all figures", skipped, total)
		v.tellLost(v.lost())
	}
	return nil
}

// lost lists the classes none of whose images can be used.
func (v *evaluating) lost() (classes []string) {
	failed, used := map[string]bool{}, map[string]bool{}
	for _, f := range v.failed {
		failed[f.Path] = true
	}
	for _, s := range v.samples {
		if !failed[s.Path] {
			used[s.Class] = true
		}
	}
	for _, s := range v.samples {
		if !used[s.Class] && !slices.Contains(classes, s.Class) {
			classes = append(classes, s.Class)
		}
	}
	return classes
}
