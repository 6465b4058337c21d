package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/onnx"
)

func compareCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "tell which backbone serves the data best", ArgsUsage: "MODEL...",
		Description: "For each MODEL rtx featurize and rtx probe, with the same folds and seeds, into\n" +
			"OUT/features and OUT/probes; then an ordered table, in compare.json, results.csv,\n" +
			"report.md and report.html, and the best classifier as best.onnx. The rank of\n" +
			"a backbone is 1 plus the number of those that are better and told apart from it, by McNemar's\n" +
			"test, Holm-corrected. What is there already is used again; one MODEL that fails does not lose the others (exit 1).\n" +
			"With --task detect: for each MODEL rtx detect, with the same heads, recipe, seeds and order of images,\n" +
			"into OUT/runs; the table is of AP on the validation images, and backbones are told apart by the paired\n" +
			"bootstrap over images and seeds; best.onnx is the detector of the best one.",
		Flags: slices.Concat(dataFlags(), []cli.Flag{
			text("task", "classify", "what is compared: classify (linear classifiers of fixed features) or detect (detectors with new heads)"),
			text("models", "", "YAML `FILE` with a list of more models: {model, label, range, normalize, input-size, resize, crop, interpolation, channels}"),
			text("out", "", "the `FOLDER` of the results", "o"),
		}, probeFlags(3), headsFlags(), []cli.Flag{bnFlag()}, runFlags(), skipFlags(), outputFlags(), []cli.Flag{
			toggle("overwrite", "start over where OUT holds something else"),
		}, specFlags()),
		Action: func(c *cli.Context) error { return e.compare(c) },
	}
}

// compareOptions are those of the verb, in the order of args.yaml.
type compareOptions struct {
	dataOptions
	Task   string `flag:"task"`
	Models string `flag:"models"`
	Out    string `flag:"out"`
	trainingOptions
	headsOptions
	BN string `flag:"bn"`
	runOptions
	skipOptions
	Library   string `flag:"onnxruntime"`
	Overwrite bool   `flag:"overwrite"`
	specOptions
}

// comparing is a comparison in the making.
type comparing struct {
	*env
	compareOptions
	list    []entry
	models  []string // of the list
	names   []string // of the models, in their folders
	command string   // the command line, for the report
	folder  *output.Folder
	found   []*contender
	failed  []report.Failure

	showsParts bool // parts take so long that they show their progress unasked
}

// comparisonLayout is that of the folder of a comparison. Each feature set and each
// probe in it is an output folder of its own, which refuses other settings; a
// comparison has none, so that it may grow by further models.
var comparisonLayout = output.Layout{
	Kind:   "comparison",
	Files:  []string{"best.onnx", useFile, featurize.ImagesFile, "args.yaml", "results.csv", "report.md", "report.html", "compare.json"},
	Beside: []string{"*"},
}

// takeUp locks OUT and takes up what it holds.
func (k *comparing) takeUp() (err error) {
	if k.folder, err = output.Open(k.Out, comparisonLayout); err != nil {
		return err
	}
	k.folder.Keep(append(slices.Clone(k.models), k.Data, k.config, k.Models)...)
	_, other := k.folder.Compare(struct{}{})
	if !k.Overwrite {
		err = k.grows()
	}
	if err == nil {
		err = k.folder.Begin(struct{}{}, k.Overwrite && other != nil)
	}
	if err != nil {
		k.folder.Close()
	}
	return err
}

// grows refuses to replace a comparison of models that are not among those of this
// one: its report and best.onnx would be lost.
func (k *comparing) grows() error {
	file := k.folder.Path("compare.json")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	earlier := struct {
		Task    string
		Ranking []struct{ Model string }
	}{Task: "classify"}
	if err == nil {
		err = json.Unmarshal(text, &earlier)
	}
	if err != nil {
		return &usageError{msg: fmt.Sprintf("--out: %q is not of a comparison: %v", file, err), hint: "choose another --out"}
	}
	if earlier.Task != k.Task {
		return &usageError{msg: fmt.Sprintf("--out %q holds a comparison of --task %s", k.Out, earlier.Task), hint: "choose another --out, or --overwrite"}
	}
	for _, one := range earlier.Ranking {
		if !slices.ContainsFunc(k.models, func(m string) bool { return sameFile(m, one.Model) }) {
			return &usageError{msg: fmt.Sprintf("--out %q holds a comparison of other models, among them %q", k.Out, one.Model), hint: "name its models too, choose another --out, or --overwrite"}
		}
	}
	return nil
}

func (e *env) compare(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	k := &comparing{env: e, command: commandLine(c)}
	readOptions(c, &k.compareOptions)
	if err := checkTask(c, k.Task); err != nil {
		return err
	}
	if k.Task == "detect" {
		return k.compareDetectors(c)
	}
	if err := k.check(c.Args().Slice()); err != nil {
		return err
	}
	if err := k.takeUp(); err != nil {
		return err
	}
	defer k.folder.Close()
	if err := k.probeAll(c.Context); err != nil {
		return k.interrupted(err)
	}
	ranked, err := k.rank()
	if err != nil {
		return err
	}
	return k.interrupted(k.finish(c.Context, ranked))
}

// check looks at the options, and names the models.
func (k *comparing) check(arguments []string) (err error) {
	const usage = "rtx compare MODEL... -d IMAGES -o OUT"
	if err := k.take(arguments, usage); err != nil {
		return err
	}
	if k.Data == "-" {
		return &usageError{msg: "--data is -, which can be read only once", hint: "name a file"}
	}
	if err := oneOf("bn", k.BN, "frozen", "adapt"); err != nil {
		return err
	}
	n := k.network(entry{})
	if err := n.check(); err != nil {
		return err
	}
	if _, err := k.trainingOptions.config(); err != nil {
		return err
	}
	if err := k.name(); err != nil {
		return err
	}
	return k.checkInputs()
}

// network is the part of the options that says how a model runs.
func (o *compareOptions) network(e entry) networkOptions {
	n := networkOptions{Model: e.model, dataOptions: o.dataOptions, runOptions: o.runOptions, skipOptions: o.skipOptions, Library: o.Library, specOptions: o.specOptions}
	n.inputOptions = e.input
	return n
}

// each does the work of each model. One that fails is told of in the end; a signal, and an
// output of another comparison, end it all.
func (k *comparing) each(about string, work func(i int) error) error {
	var errs []error
	for i, model := range k.models {
		k.note("%s (%d of %d)%s", model, i+1, len(k.models), about)
		err := work(i)
		if err == nil {
			continue
		}
		if errors.As(err, new(signalled)) {
			return err
		}
		if _, hint := verdict(err); hint == startOver { // no fault of the model's, and the report there is of others
			return fmt.Errorf("%s: %w", model, err)
		}
		errs = append(errs, err)
		k.failed = append(k.failed, report.Failure{Model: model, Reason: oneLine(err)})
		k.warn("%s: %s", model, oneLine(err))
	}
	if len(errs) == len(k.models) {
		return k.none(errs)
	}
	return nil
}

// probeAll probes every model.
func (k *comparing) probeAll(ctx context.Context) error {
	return k.each("", func(i int) error {
		one, err := k.contend(ctx, k.list[i], k.names[i])
		if err == nil {
			k.found = append(k.found, one)
		}
		return err
	})
}

// oneLine is the text of an error, as it is told in a table.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

// interrupted adds what is finished to an error of a signal.
func (k *comparing) interrupted(err error) error {
	var sig signalled
	if !errors.As(err, &sig) {
		return err
	}
	return goOn(partial{sig, k.result("rtx.compare/1", "interrupted", k.Out, object{{"finished", len(k.found)}})}, k.Overwrite)
}

// none is the error where all backbones failed: with the exit code of each, where
// they have the same.
func (k *comparing) none(errs []error) error {
	err := fmt.Errorf("none of the %d backbones could be compared; the first, %q: %w", len(errs), k.failed[0].Model, errs[0])
	first, _ := verdict(errs[0])
	for _, other := range errs {
		if code, _ := verdict(other); code != first {
			return fmt.Errorf("%s: %w", err, featurize.ErrData)
		}
	}
	return err
}

// finish writes the files of OUT, and tells.
func (k *comparing) finish(ctx context.Context, r *report.Comparison) error {
	files, err := k.best(ctx)
	if err != nil {
		return err
	}
	if err := k.describeBest(ctx, r); err != nil {
		return err
	}
	r.Notes = k.notes()
	own := k.fields(r)
	args, err := recordedOptions(&k.compareOptions)
	if err != nil {
		return err
	}
	result := append(k.result("rtx.compare/1", "done", k.Out, own), object{{"rtx", buildVersion()}}...)
	files = append(files,
		output.Content{Name: "args.yaml", Write: output.Bytes(args)}, output.Content{Name: "results.csv", Write: r.CSV},
		output.Content{Name: "report.md", Write: r.Markdown}, output.Content{Name: "report.html", Write: r.HTML},
		output.Content{Name: "compare.json", Write: output.JSON(result)})
	if err := nothingWritten(k.folder.Put(ctx, files...)); err != nil {
		return err
	}
	if k.json && len(k.failed) == 0 {
		k.print(k.result("rtx.compare/1", "done", k.Out, own))
	} else if !k.json {
		if err := k.table(r); err != nil {
			return err
		}
		if script := k.folder.Path(useFile); slices.ContainsFunc(files, func(f output.Content) bool { return f.Name == useFile }) {
			k.note("python3 %s IMAGE... uses best.onnx without rtx", quoted(script))
		}
	}
	if n := len(k.failed); n > 0 {
		err := fmt.Errorf("%d of %d backbones failed; the first, %s: %s", n, len(k.models), k.failed[0].Model, k.failed[0].Reason)
		return hinted{partial{err, k.result("rtx.compare/1", "failed", k.Out, own)}, "the figures of the others are in " + k.Out}
	}
	return nil
}

// best is best.onnx, the classifier of the best backbone; where there is none, that
// of an earlier comparison is removed.
func (k *comparing) best(ctx context.Context) ([]output.Content, error) {
	if k.Solver == "knn" {
		k.warn("best.onnx is for linear classifiers, and --solver is knn")
		return nil, k.removeBest()
	}
	best := k.found[0]
	err := k.attachBest(ctx, best)
	if errors.As(err, new(signalled)) {
		return nil, err
	}
	if err != nil {
		k.warn("best.onnx is not written: %s", oneLine(err))
		return nil, k.removeBest()
	}
	m, err := onnx.Load(filepath.Join(k.probeOf(best.name), "classifier.onnx"))
	if err == nil && len(k.found) > 1 {
		m, err = withSeen(m, best.judgedBy) // it was chosen by them
	}
	if err != nil {
		return nil, err
	}
	use, err := useContent(m, "best.onnx")
	if err != nil {
		return nil, err
	}
	files := []output.Content{{Name: "best.onnx", Write: m.Write}, use}
	if _, err := os.Stat(k.bestImages()); err == nil { // former versions wrote none
		files = append(files, output.Content{Name: featurize.ImagesFile, Write: k.writeImages})
	}
	return files, nil
}

// measured is a figure that is 0 where it was not measured.
func measured(x float64) share {
	if x == 0 {
		return share(math.NaN())
	}
	return share(x)
}

// removeBest removes what an earlier comparison has left of its best classifier.
func (k *comparing) removeBest() error {
	var errs []error
	for _, name := range []string{"best.onnx", useFile, featurize.ImagesFile} {
		errs = append(errs, output.Remove(k.folder.Path(name)))
	}
	return errors.Join(errs...)
}

// bestImages is the list of the images of the best backbone's probe.
func (k *comparing) bestImages() string {
	return filepath.Join(k.probeOf(k.found[0].name), featurize.ImagesFile)
}

// writeImages copies the list of the images of the best backbone's probe.
func (k *comparing) writeImages(w io.Writer) error {
	f, err := os.Open(k.bestImages())
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

func (k *comparing) fields(r *report.Comparison) object {
	var ranking []object
	for i, b := range r.Models {
		p := k.found[i].probe
		ranking = append(ranking, object{
			{"model", k.found[i].model}, {"name", b.Name}, {"rank", b.Rank}, {"top1", p.Top1}, {"sd", p.Top1SD}, {"low", p.Low}, {"high", p.High},
			{"mean_per_class", p.MeanPerClass}, {"n", p.N}, {"p_vs_best", share(b.P)}, {"arch", b.Arch}, {"norm", b.Norm}, {"eps", share(b.Eps)}, {"imagenet_top1", share(b.ImageNet)},
			{"input_size", b.Input}, {"parameters", b.Parameters}, {"images_per_second", measured(b.ImagesPerSecond)},
			{"features", k.featuresOf(b.Name)}, {"probe", k.probeOf(b.Name)},
		})
	}
	failed := []object{}
	for _, f := range k.failed {
		failed = append(failed, object{{"model", f.Model}, {"error", f.Reason}})
	}
	mistakes := []object{}
	if r.Mistakes != nil {
		for _, m := range r.Mistakes.Lines {
			mistakes = append(mistakes, object{{"path", m.Image}, {"class", m.Class}, {"predicted", m.Predicted}, {"confidence", m.Confidence}})
		}
	}
	return object{{"ranking", ranking}, {"best", k.found[0].model}, {"failed", failed}, {"protocol", k.found[0].probe.Protocol}, {"mistakes", mistakes}}
}
