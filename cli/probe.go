package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/finetune/probe"
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
			number("threads", 0, "threads of the matrix products; 0: one a core"),
		}, outputFlags(), []cli.Flag{toggle("overwrite", "start over where OUT holds something else")}),
		Action: func(c *cli.Context) error { return e.probe(c) },
	}
}

// probeFlags say how a classifier is trained and judged.
func probeFlags(seeds int) []cli.Flag {
	return []cli.Flag{
		text("solver", "lbfgs", "lbfgs and sgd: logistic regression; ridge: regression on one-hot labels; knn"),
		&cli.StringSliceFlag{Name: "reg", Usage: "a `PENALTY` to try, per sample, or for knn a number of neighbours; may be repeated (default: a grid)", EnvVars: []string{variable("reg")}},
		number("folds", 5, "`N` folds of cross-validation and of the choice of settings"),
		number("seeds", seeds, "repeat with `N` seeds of folds and subsets"),
		number("seed", 0, "the first seed"),
		number("per-class", 0, "train on `N` samples of each class only; 0: on all"),
		toggle("balanced", "weigh classes alike, however many samples they have"),
	}
}

// probing is one call of the verb.
type probing struct {
	*env
	c        *cli.Context
	solver   probe.Config
	data     *features
	test     *features // data, where it has the test split itself
	engine   string
	protocol string
	train    []int // rows of data
	val      []int
	judged   []int // rows of test
	config   map[string]any
	args     []byte
	progress *progress
	seen     int // finished points
}

func (e *env) probe(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	p := &probing{env: e, c: c}
	if err := p.check(); err != nil {
		return err
	}
	products, err := p.products()
	if err != nil {
		return err
	}
	if closer, ok := products.(*runtime.Products); ok {
		defer closer.Close()
	}
	if err := p.load(products); err != nil {
		return err
	}
	if err := p.protocolOf(); err != nil {
		return err
	}
	status, found, err := p.result()
	if err != nil {
		return err
	}
	if model := c.String("attach"); model != "" {
		if err := p.attach(model); err != nil {
			return err
		}
	}
	return p.report(status, found)
}

// check looks at the flags alone.
func (p *probing) check() error {
	c := p.c
	if err := required("rtx probe -d FEATURES -o OUT", "data", c.String("data"), "out", c.String("out")); err != nil {
		return err
	}
	var err error
	if p.solver, err = probeConfig(c); err != nil {
		return err
	}
	if c.String("test-labels") != "" && c.String("test") == "" {
		return &usageError{msg: "--test-labels goes with --test"}
	}
	if c.String("attach") != "" && p.solver.Solver == "knn" {
		return &usageError{msg: "--attach goes with a linear classifier, and --solver is knn"}
	}
	p.args, err = resolved(c)
	return err
}

// probeConfig reads probeFlags.
func probeConfig(c *cli.Context) (cfg probe.Config, err error) {
	cfg = probe.Config{Solver: c.String("solver"), Balanced: c.Bool("balanced"), Folds: c.Int("folds")}
	if !slices.Contains(probe.Solvers, cfg.Solver) {
		return cfg, &usageError{msg: fmt.Sprintf("--solver is %q, expected %s", cfg.Solver, strings.Join(probe.Solvers, ", "))}
	}
	for _, b := range []struct {
		name        string
		least, most int
	}{{"folds", 2, 100}, {"seeds", 1, 1000}, {"seed", 0, 1 << 30}, {"per-class", 0, 1 << 30}} {
		if v := c.Int(b.name); v < b.least || v > b.most {
			return cfg, &usageError{msg: fmt.Sprintf("--%s is %d, expected %d to %d", b.name, v, b.least, b.most)}
		}
	}
	cfg.Grid = probe.Grid(cfg.Solver)
	regs := c.StringSlice("reg")
	if len(regs) == 0 {
		return cfg, nil
	}
	var grid []probe.Setting
	for _, text := range regs {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x > 0) || x > 1e12 || cfg.Solver == "knn" && x != float64(int(x)) {
			return cfg, &usageError{msg: fmt.Sprintf("--reg is %q, expected a penalty above 0, or for knn a number of neighbours", text)}
		}
		for _, s := range cfg.Grid { // all rates or metrics with each
			if cfg.Solver == "knn" {
				s.K = int(x)
			} else {
				s.Lambda = x
			}
			if !slices.Contains(grid, s) {
				grid = append(grid, s)
			}
		}
	}
	cfg.Grid = grid
	return cfg, nil
}

// products is what multiplies: onnxruntime where it is found, else Go.
func (p *probing) products() (probe.Products, error) {
	lib, err := runtime.Find(p.c.String("onnxruntime"))
	if err != nil {
		if p.c.String("onnxruntime") != "" || os.Getenv("RTX_ONNXRUNTIME") != "" {
			return nil, err
		}
		p.engine = "gonum"
		p.note("without onnxruntime, which would be faster (rtx runtime install)")
		return probe.Gonum{}, nil
	}
	p.engine = "onnxruntime " + lib.Version
	return runtime.NewProducts(runtime.Options{Library: lib, Threads: p.c.Int("threads")})
}

// load reads the features.
func (p *probing) load(products probe.Products) error {
	var err error
	if p.data, err = readFeatures(p.c.String("data"), p.c.String("labels"), products); err != nil {
		return err
	}
	p.test = p.data
	if name := p.c.String("test"); name != "" {
		if p.test, err = readFeatures(name, p.c.String("test-labels"), products); err != nil {
			return err
		}
		if err := p.data.Fits(p.test.Set); err != nil {
			return fmt.Errorf("--test %q: %w", name, err)
		}
	}
	return nil
}

// protocolOf says which rows train, choose and judge.
func (p *probing) protocolOf() error {
	of := map[string][]int{}
	for _, row := range p.data.Labelled() {
		of[p.data.splits[row]] = append(of[p.data.splits[row]], row)
	}
	if left := p.data.N - len(p.data.Labelled()); left > 0 {
		p.warn("%d samples without a label are left out", left)
	}
	p.train = append(slices.Clone(of[""]), of["train"]...)
	slices.Sort(p.train)
	p.val = of["val"]
	switch {
	case p.test != p.data:
		p.protocol, p.judged = "test", p.outside()
		if n := len(of["test"]); n > 0 {
			p.warn("the %d samples of the test split of %q are left out; --test takes their place", n, p.data.path)
		}
	case len(of["test"]) > 0:
		p.protocol, p.judged = "test", of["test"]
	case len(p.val) > 0 && len(p.train) > 0:
		p.protocol, p.judged, p.val = "val", p.val, nil
		p.warn("there is no test split; the figures are of the val split, and settings are chosen in folds of the training samples")
	default:
		p.protocol, p.train = "cv", append(p.train, p.val...)
		p.val, p.judged = nil, p.train
	}
	switch {
	case len(p.judged) == 0:
		return fmt.Errorf("none of the samples to judge on has a label: %w", probe.ErrData)
	case len(p.train) == 0:
		return fmt.Errorf("no sample to train on: all are of the test or val split: %w", probe.ErrData)
	}
	if p.protocol != "cv" {
		p.tellOverlap()
	}
	var grid []string
	for _, s := range p.solver.Grid {
		grid = append(grid, fmt.Sprint(s))
	}
	p.config = map[string]any{
		"data": p.data.id, "test": p.test.id, "solver": p.solver.Solver, "grid": strings.Join(grid, " "), "folds": fmt.Sprint(p.solver.Folds),
		"seeds": fmt.Sprint(p.c.Int("seeds")), "seed": fmt.Sprint(p.c.Int("seed")), "per_class": fmt.Sprint(p.c.Int("per-class")),
		"balanced": fmt.Sprint(p.solver.Balanced), "engine": p.engine,
	}
	return nil
}

// tellOverlap warns of groups that the caller's splits part, and of classes that
// are judged and cannot be learned.
func (p *probing) tellOverlap() {
	learned, groups := map[int]bool{}, map[string]bool{}
	for _, row := range p.train {
		learned[p.data.Y[row]] = true
	}
	for _, row := range slices.Concat(p.train, p.val) {
		if p.data.Groups != nil && p.data.Groups[row] != "" {
			groups[p.data.Groups[row]] = true
		}
	}
	parted, missing := map[string]bool{}, map[int]bool{}
	for _, row := range p.judged {
		if p.test.Groups != nil && groups[p.test.Groups[row]] {
			parted[p.test.Groups[row]] = true
		}
		if y := p.test.Y[row]; !learned[y] && !missing[y] {
			missing[y] = true
			p.warn("class %q has samples to judge on and none to train on; all of them count as wrong", p.data.Classes[y])
		}
	}
	if len(parted) > 0 {
		p.warn("%d groups have samples both to train on and to judge on; the figures may be too good", len(parted))
	}
}

// outside are the rows of --test to judge on: of its test split, where it has
// one, as its others may be images that were trained on; else all.
func (p *probing) outside() []int {
	all := p.test.Labelled()
	own := slices.DeleteFunc(slices.Clone(all), func(row int) bool { return p.test.splits[row] != "test" })
	switch {
	case len(own) > 0 && len(own) < len(all):
		p.warn("of %q only the %d samples of the test split are judged on", p.test.path, len(own))
		return own
	case p.test.id == p.data.id:
		p.warn("--test holds the samples that are trained on; the figures tell nothing of others")
	}
	return all
}

// result is what OUT holds of this command already, or what comes out now.
func (p *probing) result() (status string, r *probeResult, err error) {
	dir := p.c.String("out")
	old, err := p.there(dir)
	if err != nil || old != nil {
		return "cached", old, err
	}
	points, err := openPoints(dir, p.config, p.c.Bool("overwrite"))
	if err != nil {
		return "", nil, err
	}
	defer points.close()
	p.progress = newProgress(p.env)
	p.progress.noun = "fits"
	found, err := p.run(points)
	p.progress.end()
	if err != nil {
		var sig signalled
		if errors.As(err, &sig) {
			err = partial{err, p.env.result("rtx.probe/1", "interrupted", dir, object{{"points", p.seen}})}
		}
		return "", nil, err
	}
	if err := p.write(dir, found); err != nil {
		return "", nil, err
	}
	return "done", found.result, points.remove()
}

// there reads the result that OUT holds, nil where there is something to do.
func (p *probing) there(dir string) (*probeResult, error) {
	if p.c.Bool("overwrite") {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && (len(entries) == 0 || len(entries) == 1 && entries[0].Name() == ".rtx") {
		return nil, nil // or ended before its first point
	}
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "probe.json"))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(pointsFile(dir)); err == nil {
			return nil, nil // interrupted
		}
	}
	var old struct {
		Config map[string]any `json:"config"`
		probeResult
	}
	if err != nil || json.Unmarshal(data, &old) != nil || old.Config == nil {
		return nil, fmt.Errorf("output %q holds no probe: %w", dir, output.ErrConfig)
	}
	diff, err := output.Difference(old.Config, p.config)
	if err != nil {
		return nil, err
	}
	if diff != "" {
		return nil, fmt.Errorf("output %q: %s: %w", dir, diff, output.ErrConfig)
	}
	return &old.probeResult, nil
}

// judgement is what one seed came to on the judged rows.
type judgement struct {
	seed     uint64
	top      [][]metrics.Ranked // by judged row
	selected *probe.Selected    // for cv: of all training rows
	folds    []*probe.Selected
}

// found is all that a run came to.
type found struct {
	result *probeResult
	seeds  []judgement
	head   probe.Model // of the first seed
}

// run trains and judges with every seed.
func (p *probing) run(points *points) (*found, error) {
	f := &found{}
	for i := range p.c.Int("seeds") {
		seed := uint64(p.c.Int("seed") + i)
		cfg := p.solver
		cfg.Seed = seed
		cfg.Known = func(at probe.Place) (probe.Point, bool) { return points.known(seed, at) }
		cfg.Done = func(pt probe.Point) error {
			p.seen++
			p.progress.update(p.seen, 0)
			return points.add(seed, pt)
		}
		j, err := p.judge(cfg, i == 0)
		if err != nil {
			return nil, err
		}
		f.seeds = append(f.seeds, *j)
		if i == 0 {
			f.head = j.selected.Model
		}
	}
	var err error
	f.result, err = p.summary(f)
	return f, err
}

// judge trains and judges with one seed. Where folds are judged, the classifier
// of all rows is trained for the first seed only.
func (p *probing) judge(cfg probe.Config, first bool) (*judgement, error) {
	ctx, k := p.c.Context, len(p.data.Classes)
	j := &judgement{seed: cfg.Seed}
	subset := func(rows []int) ([]int, error) {
		if n := p.c.Int("per-class"); n > 0 {
			return probe.PerClass(p.data.Data, rows, n, cfg.Seed)
		}
		return rows, nil
	}
	train, err := subset(p.train)
	if err != nil {
		return nil, err
	}
	scores := make([]float32, len(p.judged)*k)
	if p.protocol == "cv" {
		folds, err := probe.Folds(p.data.Data, p.train, p.solver.Folds, cfg.Seed)
		if err != nil {
			return nil, err
		}
		for i := range folds {
			if folds[i].Train, err = subset(folds[i].Train); err != nil {
				return nil, err
			}
		}
		out, err := probe.CrossValidate(ctx, p.data.Set, folds, cfg)
		if err != nil {
			return nil, err
		}
		for i, row := range p.judged {
			copy(scores[i*k:][:k], out.Scores[row*k:][:k])
		}
		j.folds = out.Folds
	}
	if p.protocol != "cv" || first {
		if j.selected, err = probe.Select(ctx, p.data.Set, train, p.val, cfg); err != nil {
			return nil, err
		}
	}
	if p.protocol != "cv" {
		if err := j.selected.Model.Scores(ctx, scores, p.test.Set, p.judged); err != nil {
			return nil, err
		}
	}
	for i := range p.judged {
		top, err := metrics.Top(scores[i*k:][:k], min(5, k))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", p.test.paths[p.judged[i]], err)
		}
		j.top = append(j.top, top)
	}
	return j, nil
}
