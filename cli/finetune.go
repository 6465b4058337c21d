package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/finetune/stratify"
	"github.com/robust-transfer/rtx/onnx/verify"
)

func finetuneCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "finetune",
		Usage: "train a network on labelled images",
		Description: "DATA is what featurize takes, with labels. Where it has no val split, a part of the\n" +
			"training images is held out; the best epoch is chosen by it. A test split is looked at\n" +
			"once by each training, with its best weights. For up to 10,000 training images a linear\n" +
			"probe of the network is fitted first and its figures are told; the new head starts from it,\n" +
			"and best.onnx is the network with the probe's head unless an epoch is better on the validation\n" +
			"images by more than a standard error. There are 300 steps at least, unless --epochs says how\n" +
			"many. RUN gets weights/best.onnx, weights/last.onnx, metrics.jsonl, results.csv and\n" +
			"curves.svg as training goes on, run.json at its end, args.yaml (with what was left to its\n" +
			"default: as --config it trains the same again) and images.jsonl (the images of each split\n" +
			"and their SHA-256). An interrupted command goes on where it\n" +
			"stopped; the same command again does nothing. With several --lr the best is chosen on the\n" +
			"validation images, by the first seed; each training then has a folder of its own in RUN.",
		Flags: slices.Concat([]cli.Flag{
			text("model", "", "the network: an ONNX or PyTorch `FILE`, or a name of rtx models", "m"),
		}, dataFlags(), []cli.Flag{
			text("out", "", "the `FOLDER` to write: RUN", "o"),
			text("resume", "", "continue the run in this `FOLDER`, with the flags that it was begun with"),
			text("recipe", "default", "settings that go together: default or paper (Salman et al. 2020)"),
			text("mode", "full", "what is trained: full, fixed (the head alone) or last-`K` stages"),
			text("bn", "adapt", "batch norms: adapt (statistics of the batch) or frozen"),
			text("head", "auto", "the last layer: probe (that of a linear probe of the network), new, keep, or a head.onnx `FILE` of rtx probe; auto: probe for up to 10,000 training images, else new, as with --recipe paper"),
			text("head-init", "", "a new head's values: torch (those of PyTorch's Linear, the default) or zero; with --head auto, the head is a new one"),
			number("epochs", 0, "passes over the training images; 0: the recipe's"),
			number("batch-size", 0, "images per step; 0: the recipe's", "b"),
			&cli.StringSliceFlag{Name: "lr", Usage: "learning `RATE`; may be repeated (default: the recipe's; with adamw a tenth of it)"},
			text("optimizer", "", "the optimizer: sgd or adamw (default: the recipe's)"),
			text("momentum", "", "momentum of sgd (default: the recipe's)"),
			toggle("nesterov", "use Nesterov's momentum, with sgd"),
			text("weight-decay", "", "weight decay of all parameters (default: the recipe's)"),
			toggle("no-decay-norm", "no weight decay of batch norms and biases"),
			text("layer-decay", "", "learning rate of a stage: that of the next deeper one times this `FACTOR`"),
			text("schedule", "", "schedule of the learning rate: cosine, step, onecycle or constant (default: the recipe's)"),
			number("step-size", 0, "`N` epochs between steps of the schedule step; 0: the recipe's"),
			text("gamma", "", "`FACTOR` of the learning rate at each step of the schedule step (default: the recipe's)"),
			text("warmup", "", "`N` epochs of warm-up, in which the learning rate rises (default: the recipe's)"),
			text("clip", "", "clip the gradients to this `NORM` over all of them"),
			text("ema", "", "evaluate exponential moving averages of the weights, with this `DECAY` per step"),
			text("adversarial", "", "train on images attacked within `NORM:EPS`, in [0,1] pixel units, such as l2:0.5 or linf:4/255 (adversarial training, Madry et al. 2018); validation images are attacked, too"),
			number("attack-steps", 0, "gradient steps of the attack on training images; 0: 3"),
			text("attack-step-size", "", "`LENGTH` of a step of that attack, in the units of EPS (default: 2 EPS / steps)"),
			text("label-smoothing", "", "the `SHARE` of each target that is spread over all classes"),
			text("mixup", "", "mix pairs of images and their targets, in shares from Beta(`ALPHA`,ALPHA)"),
			text("augment", "", "training images: crop (random resized), pad (shifted), reflect (shifted), flip or none (default: crop and flip; pad and flip up to 64 pixels)"),
			text("jitter", "", "jitter colours by `B,C,S,H`: brightness, contrast, saturation, hue"),
			number("patience", 0, "stop after `N` epochs without improvement; 0: the recipe's, -1: never"),
			text("metric", "", "the figure that the best epoch is chosen by: top1, mean-per-class, or robust, top-1 under attack (default: top1; with --adversarial robust)"),
			text("max-time", "", "fit epochs and schedule to this `TIME`, such as 45m"),
			text("val-fraction", "0.1", "the `SHARE` of the training images held out for validation, where there is no val split; 0: none"),
			number("seed", 0, "seed of the new head, the order of images and what is held out"),
			number("seeds", 1, "repeat with `N` seeds"),
			text("log", "", "also write event files of this `FORMAT`: tensorboard"),
			text("engine", "auto", "what computes: ort (onnxruntime), tape (pure Go) or auto"),
			number("workers", 0, "goroutines that read and decode images; 0: one per core", "j"),
			number("threads", 0, "threads that compute; 0: one per core"),
			text("device", "auto", "where the network runs: auto, cpu, cuda or cuda:`N`"),
		}, skipFlags(), outputFlags(), []cli.Flag{
			toggle("overwrite", "start over where RUN holds something else"),
		}, specFlags()),
		Action: func(c *cli.Context) error { return e.finetune(c) },
	}
}

// finetuneOptions are those of the verb, in the order of args.yaml.
type finetuneOptions struct {
	Model string `flag:"model"`
	dataOptions
	Out            string   `flag:"out"`
	Resume         string   `flag:"resume"`
	Recipe         string   `flag:"recipe"`
	Mode           string   `flag:"mode"`
	BN             string   `flag:"bn"`
	Head           string   `flag:"head"`
	HeadInit       string   `flag:"head-init"`
	Epochs         int      `flag:"epochs"`
	BatchSize      int      `flag:"batch-size"`
	LR             []string `flag:"lr"`
	Optimizer      string   `flag:"optimizer"`
	Momentum       string   `flag:"momentum"`
	Nesterov       bool     `flag:"nesterov"`
	WeightDecay    string   `flag:"weight-decay"`
	NoDecayNorm    bool     `flag:"no-decay-norm"`
	LayerDecay     string   `flag:"layer-decay"`
	Schedule       string   `flag:"schedule"`
	StepSize       int      `flag:"step-size"`
	Gamma          string   `flag:"gamma"`
	Warmup         string   `flag:"warmup"`
	Clip           string   `flag:"clip"`
	EMA            string   `flag:"ema"`
	Adversarial    string   `flag:"adversarial"`
	AttackSteps    int      `flag:"attack-steps"`
	AttackStepSize string   `flag:"attack-step-size"`
	LabelSmoothing string   `flag:"label-smoothing"`
	Mixup          string   `flag:"mixup"`
	Augment        string   `flag:"augment"`
	Jitter         string   `flag:"jitter"`
	Patience       int      `flag:"patience"`
	Metric         string   `flag:"metric"`
	MaxTime        string   `flag:"max-time"`
	ValFraction    string   `flag:"val-fraction"`
	Seed           int      `flag:"seed"`
	Seeds          int      `flag:"seeds"`
	Log            string   `flag:"log"`
	Engine         string   `flag:"engine"`
	Workers        int      `flag:"workers"`
	Threads        int      `flag:"threads"`
	Device         string   `flag:"device"`
	skipOptions
	Library   string `flag:"onnxruntime"`
	Overwrite bool   `flag:"overwrite"`
	specOptions
}

// network are the options of what runs the network.
func (o *finetuneOptions) network() networkOptions {
	return networkOptions{
		Model: o.Model, dataOptions: o.dataOptions, runOptions: runOptions{BatchSize: o.BatchSize, Workers: o.Workers, Threads: o.Threads, Device: o.Device},
		skipOptions: o.skipOptions, Engine: o.Engine, Library: o.Library, specOptions: o.specOptions,
	}
}

// finetuning is one call of the verb.
type finetuning struct {
	network
	o        finetuneOptions
	out      string
	recipe   finetune.Recipe
	task     classify.Task
	policy   augment.Policy
	mixup    augment.Mixup
	rates    []float64
	data     *augment.Data
	id       featurize.Identity
	heldOut  float64         // share of the training images to validate on
	config   finetune.Config // of all trainings, with nothing left to its default; but for the learning rate
	engine   string          // "ort" or "tape"
	head     string          // o.Head, or what "auto" comes to
	probe    *probed         // the linear probe of the network before training; nil: none
	onDevice string          // "cpu" or "cuda:N"
	places   []int           // of the data's classes among those of the head that is kept; nil: the head has the data's
	base     string          // SHA-256 of the model
	args     []byte
	folder   *output.Folder
	found    *finetune.RunResult

	curvesOf *finetune.Trial // whose curves are
	curves   curvesReader

	toldDevice bool // why it is not on the GPU
}

func (e *env) finetune(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	if err := setFlagsOfRun(c); err != nil {
		return err
	}
	var o finetuneOptions
	readOptions(c, &o)
	ctx := c.Context
	t := &finetuning{network: network{env: e, networkOptions: o.network()}, o: o, out: o.Out}
	if err := t.check(); err != nil {
		return err
	}
	if err := t.load(); err != nil {
		return err
	}
	if err := t.prepare(); err != nil {
		return err
	}
	if err := t.trainable(); err != nil {
		return err
	}
	if err := t.source(ctx); err != nil {
		return err
	}
	var err error
	if t.engine, err = t.findEngine("training"); err != nil {
		t.listing.Close()
		return err
	}
	if err := t.open(ctx); err != nil {
		return t.ended(err)
	}
	defer t.data.Close()
	if err := t.resolve(); err != nil {
		return err
	}
	there, err := t.begun()
	if err != nil {
		return err
	}
	defer t.folder.Close()
	if there != nil {
		t.compareProbe(there)
		return t.report("cached", there)
	}
	found, err := t.run(ctx)
	if err != nil {
		return t.ended(err)
	}
	return t.report("done", found)
}

// check looks at the options alone.
func (t *finetuning) check() error {
	o := &t.o
	if err := required("rtx finetune -m MODEL.onnx -d IMAGES -o RUN", "model", o.Model, "data", o.Data, "out", o.Out); err != nil {
		return err
	}
	if o.Metric == "" {
		if o.Metric = "top1"; o.Adversarial != "" {
			o.Metric = "robust"
		}
	}
	for _, v := range []struct {
		flag, value string
		may         []string
	}{
		{"recipe", o.Recipe, finetune.RecipeNames}, {"bn", o.BN, []string{"adapt", "frozen"}}, {"head-init", cmp.Or(o.HeadInit, "torch"), []string{"torch", "zero"}},
		{"engine", o.Engine, []string{"auto", "ort", "tape"}}, {"metric", o.Metric, []string{"top1", "mean-per-class", "robust"}},
	} {
		if err := oneOf(v.flag, v.value, v.may...); err != nil {
			return err
		}
	}
	if o.Log != "" {
		if err := oneOf("log", o.Log, "tensorboard"); err != nil {
			return err
		}
	}
	for _, check := range []func() error{t.settings, t.chooseAttack, t.checkDevice, t.checkSkips} {
		if err := check(); err != nil {
			return err
		}
	}
	t.batch = t.recipe.BatchSize
	return nil
}

// open finds the images, their splits and those that do not decode.
func (t *finetuning) open(ctx context.Context) error {
	t.tellNotes()
	t.tellLabels()
	share := t.heldOut
	if share == 0 {
		share = -1
	}
	p := newProgress(t.env)
	var err error
	t.data, err = augment.Open(ctx, t.listing, t.transform(), augment.Config{
		Policy: t.policy, BGR: t.spec.Channels == "bgr", Workers: cores(t.Workers), Seed: uint64(t.o.Seed), ValFraction: share,
		Known: knownCheck(t.out), Progress: p.concurrent(),
	})
	p.end()
	if errors.As(err, new(*stratify.Error)) {
		return hinted{err, "--val-fraction says how many are held out; 0: none"}
	}
	if err != nil {
		return err
	}
	t.id = t.listing.Identity() // of a stream, now that it has ended
	if err = t.checkFailures(); err == nil {
		t.resolveHead()
		_, err = t.headed(0) // of the classes that the images have
	}
	if err != nil {
		t.data.Close()
	}
	return err
}

// checkFailures tells of images that do not decode, and ends where they are too
// many or the classes too few.
func (t *finetuning) checkFailures() error {
	failed := t.data.Check().Failed
	for _, note := range t.data.Check().Notes {
		t.warn("%s", note)
	}
	t.tellFailures(failed, ", see run.json")
	rows := len(failed)
	for _, s := range []augment.Split{augment.Training, augment.Validation, augment.Test} {
		rows += t.data.Rows(s)
	}
	if err := t.tolerate(failed, rows); err != nil {
		return err
	}
	switch {
	case t.data.Rows(augment.Training) == 0:
		return hinted{fmt.Errorf("no image to train on has a label: %w", featurize.ErrData), "labels are the names of class folders, or the column label of a list"}
	case t.data.Rows(augment.Training) < 2 && !t.recipe.Frozen:
		return hinted{fmt.Errorf("one image to train on, expected two at least where batch norms adapt to the batch: %w", featurize.ErrData), "--bn frozen takes single images"}
	case len(t.rates) > 1 && t.data.Rows(augment.Validation) == 0:
		return &usageError{msg: fmt.Sprintf("of the learning rates %v one is chosen on validation images, and there are none", t.rates), hint: "--val-fraction holds some out, or give one --lr"}
	case len(t.data.Classes()) < 2:
		return fmt.Errorf("all images are of the class %q, expected two classes at least: %w", t.data.Classes()[0], featurize.ErrData)
	}
	t.tellLost(t.data.Lost())
	if n := t.data.Unlabelled(); n > 0 {
		t.warn("%d images without a label are passed over", n)
	}
	held := t.data.Rows(augment.Validation)
	if all := held + t.data.Rows(augment.Training); t.data.HeldOut() && t.heldOut*float64(all) < float64(len(t.data.Classes())) {
		t.warn("--val-fraction %g of %d images is less than one of each of the %d classes: %d are held out, one of each class that has two", t.heldOut, all, len(t.data.Classes()), held)
	}
	return nil
}

// run trains what is not there yet, chooses the learning rate, and writes what
// came out.
func (t *finetuning) run(ctx context.Context) (*finetuneResult, error) {
	show := &trainingDisplay{finetuning: t}
	if t.o.Log != "" {
		show.log = &eventLog{run: t.folder.Path()}
		defer show.log.close()
	}
	if t.mixup.Alpha > 0 {
		t.task.Mix = t.mixup.Mix
	}
	c := t.config
	took, err := t.fitProbe(ctx)
	if err != nil {
		return nil, err
	}
	if c.ScoreStart = t.startsFromProbe() && t.task.Adversary == nil; c.MaxTime > 0 { // weights that saw no attack are no result of adversarial training
		c.MaxTime = max(c.MaxTime-took, 1)
	}
	r := finetune.Run{
		Folder: t.folder.Path(), Task: t.task, Data: t.labelled(), Network: t.build, Executor: t.executor,
		Config: c, LearningRates: t.rates, Seeds: t.o.Seeds,
		Begin:  func(one *finetune.Trial) error { t.data.Reseed(one.Seed); return nil },
		Report: show.event,
		Epoch:  func(one *finetune.Trial, dir string) error { return t.drawCurves(context.WithoutCancel(ctx), one, dir) },
		Finish: func(one *finetune.Trial, dir string) error { t.tellVerified(one); return nil },
	}
	if t.found, err = r.Train(ctx); err != nil {
		return nil, t.explain(err)
	}
	return t.finish(ctx)
}

// drawCurves writes results.csv and curves.svg to the folder of a training, with the
// epochs so far.
func (t *finetuning) drawCurves(ctx context.Context, one *finetune.Trial, dir string) error {
	if t.curvesOf != one {
		t.curvesOf, t.curves = one, curvesReader{}
	}
	if err := t.curves.update(filepath.Join(dir, finetune.MetricsFile)); err != nil {
		return err
	}
	if err := replaceFile(ctx, filepath.Join(dir, "results.csv"), t.curves.csv); err != nil {
		return err
	}
	return replaceFile(ctx, filepath.Join(dir, "curves.svg"), t.curves.svg)
}

// tellVerified tells what reading the models of a training back has found.
func (t *finetuning) tellVerified(one *finetune.Trial) {
	for _, v := range []struct {
		name string
		*verify.Report
	}{{finetune.BestFile, one.Verify.Best}, {finetune.LastFile, one.Verify.Last}} {
		if v.Report != nil {
			t.note("%s%s verified: %s", trainingName(one), filepath.Base(v.name), v.Report)
		}
	}
}

// explain adds a hint to errors of training.
func (t *finetuning) explain(err error) error {
	var d *finetune.Diverged
	if errors.As(err, &d) {
		return hinted{err, "a smaller --lr, or --clip 1, with another --out or --overwrite"}
	}
	return err
}

// ended turns an interruption into the result that was reached.
func (t *finetuning) ended(err error) error {
	var sig signalled
	if errors.As(err, &sig) {
		trials := 0
		if t.found != nil {
			trials = len(t.found.Trials)
		}
		return goOn(partial{err, t.result("rtx.finetune/1", "interrupted", t.out, object{{"trials", trials}})}, t.o.Overwrite)
	}
	return err
}

// executor makes what computes, and tells once why it is not on the GPU.
func (t *finetuning) executor() (finetune.Executor, error) {
	x, err := t.network.executor(t.engine)
	if err != nil {
		return nil, err
	}
	if m, is := x.(*lower.Executor); is && !t.toldDevice {
		t.toldDevice = true
		if device, why := m.Device(); device == "cpu" && t.Device == "auto" && !noGPU(why) {
			t.note("on the CPU: %s%s", why, cudaHint(t.library, why))
		}
	}
	return x, nil
}

// report tells what came out.
func (t *finetuning) report(status string, f *finetuneResult) error {
	weights := filepath.Join(t.out, "weights", "best.onnx")
	if status == "cached" {
		t.tellDoubts(f.Seeds)
	}
	if t.json {
		t.print(t.result("rtx.finetune/1", status, t.out, append(f.object(weights), object{{"skipped", len(t.data.Check().Failed)}}...)))
		return nil
	}
	if status == "cached" {
		t.note("nothing to do: the run is there")
	}
	t.note("%s", f.line())
	t.note("python3 %s IMAGE... uses the weights without rtx", quoted(filepath.Join(t.out, useFile)))
	fmt.Fprintln(t.stdout, t.out)
	return nil
}
