package cli

import (
	"context"
	"errors"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// detectTrainUsage is how a training is asked for.
const detectTrainUsage = "rtx detect -m MODEL -d DATA -o RUN"

const detectTrainDescription = "MODEL is a backbone, such as rtx finetune takes, which gets a feature pyramid and new\n" +
	"heads; or a detector, whose heads are kept as far as its classes have the names of the\n" +
	"data's. DATA is what rtx detect check takes. Faster R-CNN is trained; Mask R-CNN where the\n" +
	"objects have masks; or RetinaNet. Where DATA has no val split, a part of the training\n" +
	"images is held out; the best epoch is chosen by its average precision there. A test split\n" +
	"is looked at once by each training, with its best weights. The recipes of torchvision and\n" +
	"Detectron2 are written for 16 images in a step: with fewer the learning rate falls in\n" +
	"proportion, and warm-up and steps are as many times longer. RUN gets weights/best.onnx and\n" +
	"weights/last.onnx, which rtx eval, predict and export take; labels.jpg, which shows what the\n" +
	"network is given, boxes and all; as training goes on metrics.jsonl, results.csv, curves.svg\n" +
	"and val/epoch-*.jpg, what is found in some validation images; at its end report.html, which\n" +
	"shows it all, and run.json; args.yaml (as --config it trains the same again) and images.jsonl\n" +
	"(the images of each split). An interrupted command goes on where it stopped; the same\n" +
	"command again does nothing."

func detectTrainFlags() []cli.Flag {
	return slices.Concat([]cli.Flag{
		text("model", "", "the backbone or the detector: a `FILE`, or a name of rtx models", "m"),
		text("data", "", "the data set: a folder, an archive, a .json or data.yaml `FILE`", "d"),
		text("root", "", "the `FOLDER` of the images of a .json file (default: they are looked for)"),
		text("out", "", "the `FOLDER` to write: RUN", "o"),
		text("resume", "", "continue the run in this `FOLDER`, with the flags that it was begun with"),
		text("recipe", "quick", "settings that go together: quick (hundreds of images, minutes), torchvision, detectron2-1x or detectron2-3x"),
		text("kind", "auto", "new heads: fasterrcnn, maskrcnn or retinanet; auto: maskrcnn where objects have masks, else fasterrcnn"),
		text("masks", "auto", "whether masks are learned: on, off, or auto: where objects have them"),
		number("size", 0, "scale images to fit into `N`xN pixels; 0: the recipe's sizes, or the detector's"),
		number("min-size", 0, "scale the shorter side of images to `N` pixels"),
		number("max-size", 0, "with --min-size: the longer side is at most `N` pixels (default: 5/3 of --min-size)"),
		number("train-stages", 3, "how many of the backbone's last stages are trained; 0: the heads alone; all of them: the stem in front of them, too"),
		text("bn", "fixed", "batch norms of the backbone: fixed (nothing of them is trained), frozen (statistics are not), adapt (to batches of 8 images or more) or adapt-small (to any)"),
		number("epochs", 0, "passes over the training images; 0: the recipe's"),
		number("batch-size", 0, "images per step; 0: the recipe's", "b"),
		text("lr", "", "learning `RATE` (default: the recipe's, for the batch size; with adamw a hundredth of it)"),
		text("optimizer", "", "the optimizer: sgd or adamw (default: the recipe's)"),
		text("schedule", "", "schedule of the learning rate: cosine, step, onecycle or constant (default: the recipe's)"),
		text("warmup", "", "`N` epochs of warm-up, in which the learning rate rises (default: the recipe's)"),
		text("weight-decay", "", "weight decay of all parameters (default: the recipe's)"),
		text("clip", "", "clip the gradients to this `NORM` over all of them"),
		text("ema", "", "evaluate exponential moving averages of the weights, with this `DECAY` per step"),
		number("patience", 0, "stop after `N` epochs without improvement; 0: the recipe's, -1: never"),
		text("metric", "bbox", "the average precision that the best epoch is chosen by: bbox or segm"),
		text("max-time", "", "fit epochs and schedule to this `TIME`, such as 45m"),
		text("val-fraction", "0.1", "the `SHARE` of the training images held out for validation, where there is no val split; 0: none"),
		text("empty", "drop", "training images without objects: drop, or keep as background"),
		toggle("no-flip", "do not mirror training images"),
		number("seed", 0, "seed of new heads, of samples and the order of images, and of what is held out"),
		number("seeds", 1, "repeat with `N` seeds"),
		text("engine", "auto", "what computes: ort (onnxruntime), tape (pure Go) or auto"),
		number("workers", 0, "goroutines that read and decode images; 0: one per core", "j"),
		number("threads", 0, "threads that compute; 0: one per core"),
		text("device", "auto", "where the network runs: auto, cpu, cuda or cuda:`N`"),
	}, outputFlags(), []cli.Flag{
		toggle("overwrite", "start over where RUN holds something else"),
	}, slices.DeleteFunc(inputFlags(), func(f cli.Flag) bool {
		return slices.Contains([]string{"input-size", "resize", "crop", "interpolation"}, f.Names()[0])
	}))
}

// detectTrainOptions are those of the verb, in the order of args.yaml.
type detectTrainOptions struct {
	Model       string `flag:"model"`
	Data        string `flag:"data"`
	Root        string `flag:"root"`
	Out         string `flag:"out"`
	Resume      string `flag:"resume"`
	Recipe      string `flag:"recipe"`
	Kind        string `flag:"kind"`
	Masks       string `flag:"masks"`
	Size        int    `flag:"size"`
	MinSize     int    `flag:"min-size"`
	MaxSize     int    `flag:"max-size"`
	TrainStages int    `flag:"train-stages"`
	BN          string `flag:"bn"`
	Epochs      int    `flag:"epochs"`
	BatchSize   int    `flag:"batch-size"`
	LR          string `flag:"lr"`
	Optimizer   string `flag:"optimizer"`
	Schedule    string `flag:"schedule"`
	Warmup      string `flag:"warmup"`
	WeightDecay string `flag:"weight-decay"`
	Clip        string `flag:"clip"`
	EMA         string `flag:"ema"`
	Patience    int    `flag:"patience"`
	Metric      string `flag:"metric"`
	MaxTime     string `flag:"max-time"`
	ValFraction string `flag:"val-fraction"`
	Empty       string `flag:"empty"`
	NoFlip      bool   `flag:"no-flip"`
	Seed        int    `flag:"seed"`
	Seeds       int    `flag:"seeds"`
	Engine      string `flag:"engine"`
	Workers     int    `flag:"workers"`
	Threads     int    `flag:"threads"`
	Device      string `flag:"device"`
	Library     string `flag:"onnxruntime"`
	Overwrite   bool   `flag:"overwrite"`
	inputOptions
}

// network are the options of what runs the network.
func (o *detectTrainOptions) network() networkOptions {
	return networkOptions{
		Model: o.Model, dataOptions: dataOptions{Data: o.Data, Root: o.Root},
		runOptions: runOptions{BatchSize: o.BatchSize, Workers: o.Workers, Threads: o.Threads, Device: o.Device, Precision: "fp32"},
		Engine:     o.Engine, Library: o.Library, specOptions: specOptions{inputOptions: o.inputOptions},
	}
}

// detectorTraining is one call of the verb.
type detectorTraining struct {
	network
	o        detectTrainOptions
	command  string // the command line, for the page
	set      *data.Set
	objects  objectCount
	kind     string      // of the detector
	given    *onnx.Model // the core of a detector that was named; nil: a backbone was
	recipe   train.Recipe
	heldOut  float64
	core     *onnx.Model // what the first seed begins with
	data     *train.Data
	config   finetune.Config // of all trainings, with nothing left to its default
	engine   string          // "ort" or "tape"
	onDevice string          // "cpu" or "cuda:N"
	base     string          // SHA-256 of the model
	identity string          // of the data
	args     []byte
	folder   *output.Folder
	found    *finetune.RunResult

	pictures   *trainingPictures
	scored     map[finetune.Split][]coco.Detection // of the last evaluation
	curvesOf   *finetune.Trial                     // whose curves are
	curves     detectCurves
	toldDevice bool

	label func(seed int) string // in front of the progress of a training; nil: nothing
}

func (e *env) detectTrain(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	if err := setFlagsOfRun(c); err != nil {
		return err
	}
	var o detectTrainOptions
	readOptions(c, &o)
	t := e.newDetectorTraining(o, commandLine(c))
	defer t.close()
	status, found, err := t.train(c.Context)
	if err != nil {
		return t.ended(err)
	}
	return t.report(status, found)
}

func (e *env) newDetectorTraining(o detectTrainOptions, command string) *detectorTraining {
	return &detectorTraining{network: network{env: e, networkOptions: o.network()}, o: o, command: command, scored: map[finetune.Split][]coco.Detection{}}
}

// train trains what is not there yet. The status is "done", or "cached" where all was
// there.
func (t *detectorTraining) train(ctx context.Context) (status string, found *detectResult, err error) {
	for _, step := range []func(context.Context) error{t.check, t.openModel, t.openSet, t.chooseKind, t.makeCore, t.chooseEngine, t.openData} {
		if err := step(ctx); err != nil {
			return "", nil, err
		}
	}
	if err := t.resolve(); err != nil {
		return "", nil, err
	}
	there, err := t.begun(ctx)
	if err != nil {
		return "", nil, err
	}
	defer t.folder.Close()
	if there != nil {
		return "cached", there, nil
	}
	found, err = t.run(ctx)
	return "done", found, err
}

// close frees the data.
func (t *detectorTraining) close() {
	if t.data != nil {
		t.data.Close()
	}
	if t.set != nil {
		t.set.Close()
	}
}

// ended turns an interruption into the result that was reached.
func (t *detectorTraining) ended(err error) error {
	var sig signalled
	if errors.As(err, &sig) {
		trials := 0
		if t.found != nil {
			trials = len(t.found.Trials)
		}
		return goOn(partial{err, t.result("rtx.detect/1", "interrupted", t.o.Out, object{{"trials", trials}})}, t.o.Overwrite)
	}
	return err
}
