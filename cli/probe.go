package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

func probeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "train a classifier on features and tell how good it is",
		Description: "DATA is a feature set, or an .npy, .npz or .safetensors file from elsewhere. With a test\n" +
			"split the classifier is trained on the others and judged on it; without one by\n" +
			"cross-validation, on samples that it was not trained on. Settings are chosen inside the\n" +
			"training samples only: on their val split, or in folds. OUT gets probe.json, head.onnx,\n" +
			"predictions.csv, and classifier.onnx with --attach. Features are standardised by their\n" +
			"training samples.",
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

// trainingOptions say how a classifier is trained and judged.
type trainingOptions struct {
	Solver   string   `flag:"solver"`
	Reg      []string `flag:"reg"`
	Folds    int      `flag:"folds"`
	Seeds    int      `flag:"seeds"`
	Seed     int      `flag:"seed"`
	PerClass int      `flag:"per-class"`
	Balanced bool     `flag:"balanced"`
}

func probeFlags(seeds int) []cli.Flag {
	return []cli.Flag{
		text("solver", "lbfgs", "the classifier: lbfgs and sgd are logistic regression; ridge is regression on one-hot labels; or knn"),
		&cli.StringSliceFlag{Name: "reg", Usage: "a `PENALTY` to try, per sample, or for knn a number of neighbours; may be repeated (default: a grid)", EnvVars: []string{variable("reg")}},
		number("folds", 5, "`N` folds of cross-validation and of the choice of settings"),
		number("seeds", seeds, "repeat with `N` seeds of folds and subsets"),
		number("seed", 0, "the first seed"),
		number("per-class", 0, "train on `N` samples of each class only; 0: on all"),
		toggle("balanced", "weigh classes alike, however many samples they have"),
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

// config is what the options mean.
func (o trainingOptions) config() (c probe.EvaluateConfig, err error) {
	if !slices.Contains(probe.Solvers, o.Solver) {
		return c, &usageError{msg: fmt.Sprintf("--solver is %q, expected %s", o.Solver, strings.Join(probe.Solvers, ", "))}
	}
	for _, b := range []struct {
		flag           string
		v, least, most int
	}{{"folds", o.Folds, 2, 100}, {"seeds", o.Seeds, 1, 1000}, {"seed", o.Seed, 0, 1 << 30}, {"per-class", o.PerClass, 0, 1 << 30}} {
		if b.v < b.least || b.v > b.most {
			return c, &usageError{msg: fmt.Sprintf("--%s is %d, expected %d to %d", b.flag, b.v, b.least, b.most)}
		}
	}
	c.Solver, c.Balanced, c.Folds, c.Seed = o.Solver, o.Balanced, o.Folds, uint64(o.Seed)
	c.Seeds, c.PerClass = o.Seeds, o.PerClass
	c.Grid, err = o.grid()
	return c, err
}

// grid is the solver's grid with the penalties, or numbers of neighbours, that
// --reg gives; each goes with all rates or metrics.
func (o trainingOptions) grid() ([]probe.Setting, error) {
	all := probe.Grid(o.Solver)
	if len(o.Reg) == 0 {
		return all, nil
	}
	var grid []probe.Setting
	for _, text := range o.Reg {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x > 0) || x > 1e12 || o.Solver == "knn" && x != float64(int(x)) {
			return nil, &usageError{msg: fmt.Sprintf("--reg is %q, expected a penalty above 0, or for knn a number of neighbours", text)}
		}
		for _, s := range all {
			if o.Solver == "knn" {
				s.K = int(x)
			} else {
				s.Lambda = x
			}
			if !slices.Contains(grid, s) {
				grid = append(grid, s)
			}
		}
	}
	return grid, nil
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

// probeLayout is that of the folder of a probe. Its state has the points of an
// unfinished one.
var probeLayout = output.Layout{
	Kind:    "probe",
	Files:   []string{"args.yaml", "head.onnx", "classifier.onnx", "predictions.csv", "probe.json"},
	Working: []string{"points.jsonl"},
}

// probeSettings are what the figures of a probe depend on.
type probeSettings struct {
	Data     string          `json:"data"` // a digest of the features
	Test     string          `json:"test"` // of those that are judged
	Solver   string          `json:"solver"`
	Grid     []probe.Setting `json:"grid"`
	Folds    int             `json:"folds,string"`
	Seeds    int             `json:"seeds,string"`
	Seed     int             `json:"seed,string"`
	PerClass int             `json:"per_class,string"`
	Balanced bool            `json:"balanced,string"`
	Engine   string          `json:"engine"`
}

func (p *probing) settings() probeSettings {
	return probeSettings{
		Data: p.plan.Data.Digest(), Test: p.plan.Judged.Digest(), Solver: p.Solver, Grid: p.config.Grid, Folds: p.Folds,
		Seeds: p.Seeds, Seed: p.Seed, PerClass: p.PerClass, Balanced: p.Balanced, Engine: p.engine,
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

// run finds the result that OUT holds of this command already, or comes to one.
func (p *probing) run(ctx context.Context) error {
	if err := p.takeUp(); err != nil {
		return err
	}
	if p.folder.Done() {
		return p.cached()
	}
	points, err := openPoints(p.folder.State("points.jsonl"))
	if err != nil {
		return err
	}
	defer points.close()
	shown := newProgress(p.env)
	shown.noun = "fits"
	points.added = func(n int) { shown.update(n, 0) }
	p.config.Points = points
	found, err := probe.Evaluate(ctx, p.plan, p.config)
	shown.end()
	if errors.As(err, new(signalled)) {
		return partial{err, p.env.result("rtx.probe/1", "interrupted", p.Out, object{{"points", points.n}})}
	}
	if err != nil {
		return err
	}
	p.status, p.result = "done", newProbeResult(p.plan, found, p.Solver, p.engine)
	return p.write(ctx, found)
}

// takeUp settles what becomes of that which OUT holds. A --overwrite that was interrupted is gone on
// with by the same command.
func (p *probing) takeUp() error {
	settings, overwrite := p.settings(), p.Overwrite
	if begun, err := p.folder.Compare(settings); err == nil && begun && !p.folder.Done() {
		overwrite = false
	}
	return p.folder.Begin(settings, overwrite)
}

// cached reads the result that OUT holds.
func (p *probing) cached() error {
	p.status, p.result = "cached", &probeResult{}
	data, err := os.ReadFile(p.folder.Path("probe.json"))
	if err == nil {
		err = json.Unmarshal(data, p.result)
	}
	if err != nil {
		return fmt.Errorf("output %q: probe.json: %w: %w", p.Out, err, output.ErrConfig)
	}
	return nil
}

// write makes the files of OUT.
func (p *probing) write(ctx context.Context, found *probe.Evaluation) error {
	files := []output.Content{{Name: "args.yaml", Write: output.Bytes(p.args)}}
	if head, ok := found.Selected.Model.(*probe.Head); ok {
		m, err := onnx.NewLinear(onnx.Linear{W: head.W, B: head.B, D: head.D, Classes: p.data.Classes})
		if err != nil {
			return err
		}
		files = append(files, output.Content{Name: "head.onnx", Write: m.Write})
	}
	whole := append(p.env.result("rtx.probe/1", "done", p.Out, p.result.fields()), object{{"rtx", buildVersion()}, {"config", p.settings()}}...)
	files = append(files, output.Content{Name: "predictions.csv", Write: found.Predictions.WriteCSV}, output.Content{Name: "probe.json", Write: output.JSON(whole)})
	return nothingWritten(p.folder.Put(ctx, files...))
}
