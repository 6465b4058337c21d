package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// headsFlags are those of compare with --task detect alone.
func headsFlags() []cli.Flag {
	return []cli.Flag{
		text("recipe", "", "with --task detect: the recipe of rtx detect (default: quick)"),
		text("kind", "", "with --task detect: the new heads: fasterrcnn, maskrcnn or retinanet (default: maskrcnn where objects have masks, else fasterrcnn)"),
		text("masks", "", "with --task detect: whether masks are learned: on, off or auto"),
		number("size", 0, "with --task detect: scale images to fit into `N`xN pixels; 0: the recipe's sizes"),
		number("train-stages", 3, "with --task detect: how many of the backbone's last stages are trained; 0: the heads alone"),
		number("epochs", 0, "with --task detect: passes over the training images; 0: the recipe's"),
		text("lr", "", "with --task detect: learning `RATE` (default: the recipe's)"),
	}
}

// headsOptions are those of compare with --task detect alone.
type headsOptions struct {
	Recipe      string `flag:"recipe"`
	Kind        string `flag:"kind"`
	Masks       string `flag:"masks"`
	Size        int    `flag:"size"`
	TrainStages int    `flag:"train-stages"`
	Epochs      int    `flag:"epochs"`
	LR          string `flag:"lr"`
}

// comparingDetectors is a comparison of backbones as those of detectors.
type comparingDetectors struct {
	*comparing
	runs  []*detectorRun
	truth *coco.Dataset // of the validation images
	masks bool          // the truth has masks
	order *coco.Ranking
}

// detectorRun is a backbone with the detectors that were trained on it, one for each seed.
type detectorRun struct {
	entry
	name       string
	result     *detectResult
	spec       onnx.Spec
	parameters int64
	boxes      []*coco.Evaluation // of the best epoch of each seed
	segm       []float64          // AP of masks; nil: not judged
}

// checkTask tells options apart that are of the other task.
func checkTask(c *cli.Context, task string) error {
	if err := oneOf("task", task, "classify", "detect"); err != nil {
		return err
	}
	of, other := headsFlags(), "classify"
	if task == "detect" {
		of = slices.DeleteFunc(slices.Concat(probeFlags(3), []cli.Flag{bnFlag()}, skipFlags()), func(f cli.Flag) bool { return strings.HasPrefix(f.Names()[0], "seed") })
		other = "detect"
	}
	for _, f := range of {
		if name := f.Names()[0]; changed(c, f) {
			return &usageError{msg: fmt.Sprintf("--%s is not of --task %s", name, other), hint: "leave it out"}
		}
	}
	return nil
}

// changed reports whether a flag has another value than its default. args.yaml has the
// defaults of both tasks.
func changed(c *cli.Context, f cli.Flag) bool {
	switch f := f.(type) {
	case *cli.StringFlag:
		return c.String(f.Name) != f.Value
	case *cli.IntFlag:
		return c.Int(f.Name) != f.Value
	}
	return c.IsSet(f.Names()[0]) && fmt.Sprint(c.Value(f.Names()[0])) != "false"
}

func (k *comparing) runOf(name string) string { return filepath.Join(k.Out, "runs", name) }

// compareDetectors is compare with --task detect.
func (k *comparing) compareDetectors(c *cli.Context) error {
	d := &comparingDetectors{comparing: k}
	k.showsParts = true
	if !c.IsSet("batch-size") { // its default is that of features
		k.BatchSize = 0
	}
	if err := d.check(c.Args().Slice()); err != nil {
		return err
	}
	if err := k.takeUp(); err != nil {
		return err
	}
	defer k.folder.Close()
	if err := d.trainAll(c.Context); err != nil {
		return d.interrupted(err)
	}
	if err := d.rank(c.Context); err != nil {
		return d.interrupted(err)
	}
	return d.interrupted(d.finish(c.Context))
}

// check looks at the options, and names the models.
func (d *comparingDetectors) check(arguments []string) (err error) {
	const usage = "rtx compare --task detect MODEL... -d DATA -o OUT"
	if err := d.take(arguments, usage); err != nil {
		return err
	}
	if err := d.name(); err != nil {
		return err
	}
	silent := &env{stdout: d.stdout, stderr: io.Discard, json: true, progress: "none", warnings: []string{}}
	for i := range d.list {
		t := silent.newDetectorTraining(d.options(i), d.command)
		if err := t.check(context.Background()); err != nil {
			return err
		}
	}
	return d.checkInputs()
}

// options are those of rtx detect for a backbone.
func (d *comparingDetectors) options(i int) detectTrainOptions {
	var o detectTrainOptions
	defaultsOf(detectTrainFlags(), &o)
	o.Model, o.Data, o.Root, o.Out = d.models[i], d.Data, d.Root, d.runOf(d.names[i])
	o.Seed, o.Seeds, o.BatchSize = d.Seed, d.Seeds, d.BatchSize
	o.TrainStages, o.Size, o.Epochs, o.LR = d.TrainStages, d.Size, d.Epochs, d.LR
	for to, from := range map[*string]string{&o.Recipe: d.Recipe, &o.Kind: d.Kind, &o.Masks: d.headsOptions.Masks} {
		if from != "" {
			*to = from
		}
	}
	o.Workers, o.Threads, o.Device, o.Library, o.Overwrite = d.Workers, d.Threads, d.Device, d.Library, d.Overwrite
	o.inputOptions = d.list[i].input
	return o
}

// trainAll trains a detector on every backbone.
func (d *comparingDetectors) trainAll(ctx context.Context) error {
	return d.each(": "+counted(d.Seeds, "training"), func(i int) error {
		one, err := d.train(ctx, i)
		if err == nil {
			d.note("%s: %s", d.names[i], one.result.line())
			d.runs = append(d.runs, one)
		}
		return err
	})
}

// train trains a detector on a backbone, and judges those of all seeds.
func (d *comparingDetectors) train(ctx context.Context, i int) (*detectorRun, error) {
	one := &detectorRun{entry: d.list[i], name: d.names[i]}
	err := d.part(ctx, func(e *env) (err error) {
		t := e.newDetectorTraining(d.options(i), d.command)
		defer t.close()
		t.label = func(seed int) string {
			return fmt.Sprintf("%s, training %d of %d, ", d.names[i], i*d.Seeds+seed-d.Seed+1, len(d.models)*d.Seeds)
		}
		if _, one.result, err = t.train(ctx); err != nil {
			return err
		}
		if t.data.Rows(finetune.Validation) == 0 {
			return fmt.Errorf("%q has no validation images to compare by: %w", d.Data, errNoValidation)
		}
		one.parameters, _ = t.core.Parameters()
		one.spec = t.spec
		if d.truth == nil {
			d.masks = t.learnsMasks()
			d.truth, err = t.data.Truth(ctx, finetune.Validation, d.masks)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return one, d.judge(one)
}

// judge compares what the detectors have found in the validation images with the truth.
func (d *comparingDetectors) judge(one *detectorRun) error {
	for _, seed := range one.result.Seeds {
		name := filepath.Join(d.runOf(one.name), seed.Dir, filepath.FromSlash(predictionsOfRun))
		found, err := readResults(name, d.truth)
		if err != nil {
			return err
		}
		e, err := coco.Evaluate(d.truth, found, coco.Config{})
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		one.boxes = append(one.boxes, e)
		if ap := seed.Best.Figure("segm_ap"); hasFigure(seed.Best, "segm_ap") {
			one.segm = append(one.segm, ap)
		}
	}
	return nil
}

// rank orders the backbones, the best first.
func (d *comparingDetectors) rank(ctx context.Context) (err error) {
	var all [][]*coco.Evaluation
	for _, one := range d.runs {
		all = append(all, one.boxes)
	}
	if d.order, err = coco.Rank(ctx, all, alpha, coco.BootstrapConfig{}); err != nil {
		return err
	}
	var ordered []*detectorRun
	for _, i := range d.order.Order {
		ordered = append(ordered, d.runs[i])
	}
	d.runs = ordered
	return nil
}

// finish writes the files of OUT, and tells.
func (d *comparingDetectors) finish(ctx context.Context) error {
	best := d.runOf(d.runs[0].name)
	m, err := onnx.Load(filepath.Join(best, finetune.BestFile))
	if err != nil {
		return err
	}
	use, err := useContent(m, "best.onnx")
	if err != nil {
		return err
	}
	args, err := recordedOptions(&d.compareOptions)
	if err != nil {
		return err
	}
	page, err := d.page()
	if err != nil {
		return err
	}
	own := d.fields()
	result := append(d.result("rtx.compare/1", "done", d.Out, own), object{{"rtx", buildVersion()}}...)
	err = d.folder.Put(ctx,
		output.Content{Name: "best.onnx", Write: copyOf(filepath.Join(best, finetune.BestFile))}, use,
		output.Content{Name: "args.yaml", Write: output.Bytes(args)}, output.Content{Name: "results.csv", Write: table(d.csvRows())},
		output.Content{Name: "report.html", Write: page.HTML}, output.Content{Name: "compare.json", Write: output.JSON(result)})
	if err := nothingWritten(err); err != nil {
		return err
	}
	if d.json && len(d.failed) == 0 {
		d.print(d.result("rtx.compare/1", "done", d.Out, own))
	} else if !d.json {
		if err := report.Table(d.stdout, d.rows()); err != nil {
			return err
		}
		d.note("%s", filepath.Join(d.Out, "report.html"))
	}
	if n := len(d.failed); n > 0 {
		err := fmt.Errorf("%d of %d backbones failed; the first, %s: %s", n, len(d.models), d.failed[0].Model, d.failed[0].Reason)
		return hinted{partial{err, d.result("rtx.compare/1", "failed", d.Out, own)}, "the figures of the others are in " + d.Out}
	}
	return nil
}

// copyOf writes the contents of a file.
func copyOf(name string) func(io.Writer) error {
	return func(w io.Writer) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	}
}
