package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

func probeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "train a classifier on features and tell how good it is",
		Description: "FEATURES is a feature set, or an .npy, .npz or .safetensors file from elsewhere. With a test\n" +
			"split the classifier is trained on the others and judged on it; without one by\n" +
			"cross-validation, on samples that it was not trained on. Settings are chosen inside the\n" +
			"training samples only: on their val split, or in folds. OUT gets probe.json, head.onnx,\n" +
			"predictions.csv, images.jsonl (the images of each split and their SHA-256), and\n" +
			"classifier.onnx with --attach. Features are standardised by their training samples.",
		Flags: slices.Concat([]cli.Flag{
			text("data", "", "the features: a `FOLDER` of featurize, or a file", "d"),
			text("labels", "", "the labels of a file of features: an .npy `FILE`"),
			text("test", "", "the features to judge on: a `FOLDER` of featurize, or a file"),
			text("test-labels", "", "the labels of --test: an .npy `FILE`"),
			text("out", "", "the `FOLDER` of the results", "o"),
		}, probeFlags(1), []cli.Flag{
			text("attach", "", "the `MODEL` that made the features, to write classifier.onnx"),
			number("threads", 0, "threads that compute; 0: one per core"),
		}, outputFlags(), []cli.Flag{toggle("overwrite", "start over where OUT holds something else")}),
		Action: func(c *cli.Context) error { return e.probe(c) },
	}
}

// probeOptions are those of the verb, in the order of args.yaml.
type probeOptions struct {
	Data       string `flag:"data"`
	Labels     string `flag:"labels"`
	Test       string `flag:"test"`
	TestLabels string `flag:"test-labels"`
	Out        string `flag:"out"`
	trainingOptions
	Attach    string `flag:"attach"`
	Threads   int    `flag:"threads"`
	Library   string `flag:"onnxruntime"`
	Overwrite bool   `flag:"overwrite"`
}

// probing is a probe in the making.
type probing struct {
	*env
	probeOptions
	config probe.EvaluateConfig
	engine string // what multiplies
	data   *features
	test   *features // nil: data has what is judged on
	plan   *probe.Plan
	folder *output.Folder
	args   []byte
	status string
	result *probeResult
}

func (e *env) probe(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	var o probeOptions
	readOptions(c, &o)
	p, err := e.trainProbe(c.Context, o)
	if err != nil {
		return err
	}
	return p.report()
}

// trainProbe trains and judges a probe, where OUT does not hold it already, and
// attaches it to a model where one is named.
func (e *env) trainProbe(ctx context.Context, o probeOptions) (*probing, error) {
	p := &probing{env: e, probeOptions: o}
	if err := p.check(); err != nil {
		return nil, err
	}
	var err error
	if p.folder, err = output.Open(p.Out, probeLayout); err != nil {
		return nil, err
	}
	defer p.folder.Close()
	p.folder.Keep(p.Data, filepath.Join(p.Data, "args.yaml"), p.Labels, p.Test, p.TestLabels, p.Attach, p.env.config)
	products, err := p.products()
	if err != nil {
		return nil, err
	}
	if closer, ok := products.(*runtime.Products); ok {
		defer closer.Close()
	}
	if err := p.load(products); err != nil {
		return nil, err
	}
	if err := p.makePlan(); err != nil {
		return nil, err
	}
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	p.tellFits()
	if o.Attach != "" {
		return p, e.attach(ctx, attachOptions{Model: o.Attach, Probe: o.Out, Features: o.Data, Threads: o.Threads, Library: o.Library}, p.data.run)
	}
	return p, nil
}

// check looks at the options alone.
func (p *probing) check() error {
	if err := required("rtx probe -d FEATURES -o OUT", "data", p.Data, "out", p.Out); err != nil {
		return err
	}
	var err error
	if p.config, err = p.trainingOptions.config(); err != nil {
		return err
	}
	if p.TestLabels != "" && p.Test == "" {
		return &usageError{msg: "--test-labels goes with --test"}
	}
	if p.Attach != "" && p.Solver == "knn" {
		return &usageError{msg: "--attach goes with a linear classifier, and --solver is knn"}
	}
	p.args, err = recordedOptions(&p.probeOptions)
	return err
}

// products is what multiplies: onnxruntime where it is found, else Go.
func (p *probing) products() (probe.Products, error) {
	lib, err := runtime.Find(p.Library)
	if err != nil {
		if p.Library != "" || os.Getenv("RTX_ONNXRUNTIME") != "" {
			return nil, err
		}
		p.engine = "gonum"
		p.note("without onnxruntime, which would be faster (rtx runtime install)")
		return probe.Gonum{}, nil
	}
	p.engine = "onnxruntime " + lib.Version
	return runtime.NewProducts(runtime.Options{Library: lib, Threads: p.Threads})
}

// load reads the features.
func (p *probing) load(products probe.Products) error {
	var err error
	if p.data, err = readFeatures(p.Data, p.Labels, products); err != nil || p.Test == "" {
		return err
	}
	if p.test, err = readFeatures(p.Test, p.TestLabels, products); err != nil {
		return err
	}
	if err := p.data.Fits(p.test.Set); err != nil {
		return fmt.Errorf("--test %q: %w", p.Test, err)
	}
	return nil
}

// makePlan finds the rows to train and to judge on, and tells what a reader of the
// figures should know of them.
func (p *probing) makePlan() (err error) {
	if p.test == nil {
		p.plan, err = probe.NewPlan(p.data.Set, nil)
	} else {
		p.plan, err = probe.NewPlan(p.data.Set, p.test.Set)
	}
	if err == nil {
		p.tellCaveats()
	}
	return err
}

// tellFits warns of classifiers that are not what the solver should have come to.
func (p *probing) tellFits() {
	if r := p.result; r.Unconverged > 0 {
		p.warn("%d of %d fits did not converge; the figures are too low for these features, or nothing was learned. Try --solver lbfgs, or another --reg", r.Unconverged, r.Fits)
	}
}

// tellCaveats warns of what a plan leaves out or cannot keep apart.
func (p *probing) tellCaveats() {
	c := p.plan.Caveats
	if c.Unlabelled > 0 {
		p.warn("%d samples without a label are left out", c.Unlabelled)
	}
	if c.TestOnly {
		p.warn("of %q only the %d samples of the test split are judged on", p.Test, len(p.plan.Rows))
	}
	if c.Trained {
		p.warn("--test holds the samples that are trained on; the figures tell nothing of others")
	}
	if c.OutsideTest > 0 {
		p.warn("the %d samples of the test split of %q are left out; --test takes their place", c.OutsideTest, p.Data)
	}
	if p.plan.Protocol == probe.Validation {
		p.warn("there is no test split; the figures are of the val split, and settings are chosen in folds of the training samples")
	}
	for _, y := range c.Unlearned {
		p.warn("class %q has samples to judge on and none to train on; all of them count as wrong", p.data.Classes[y])
	}
	if c.SharedGroups > 0 {
		p.warn("%d groups have samples both to train on and to judge on; the figures may be too good", c.SharedGroups)
	}
}
