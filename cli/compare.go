package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/onnx"
)

func compareCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "tell which backbone serves the data best", ArgsUsage: "MODEL...",
		Description: "For each MODEL rtx featurize and rtx probe, with the same folds and seeds, into\n" +
			"OUT/features and OUT/probes; then an ordered table, in compare.json, results.csv,\n" +
			"report.md and report.html, and the best classifier as best.onnx. Backbones that\n" +
			"McNemar's test, Holm-corrected, cannot tell apart share a rank. What is there already\n" +
			"is used again; one MODEL that fails does not lose the others (exit 1).",
		Flags: slices.Concat(dataFlags(), []cli.Flag{
			text("out", "", "the `FOLDER` of the results", "o"),
		}, probeFlags(3), []cli.Flag{bnFlag()}, runFlags(), skipFlags(), outputFlags(), []cli.Flag{
			toggle("overwrite", "start over where OUT holds something else"),
		}, specFlags()),
		Action: func(c *cli.Context) error { return e.compare(c) },
	}
}

// comparing is one call of the verb.
type comparing struct {
	*env
	c      *cli.Context
	names  []string // of the models, in their folders
	found  []*contender
	failed []report.Failure
}

// contender is a backbone with its probe.
type contender struct {
	model, name string
	features    map[string]any // rtx.featurize/1
	probe       probeResult
	paths       []string  // of the judged samples
	right       []float64 // the share of the seeds that have the sample right
	most        []bool    // more than half of them
	spec        onnx.Spec
}

func (e *env) compare(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	k := &comparing{env: e, c: c}
	if err := k.check(); err != nil {
		return err
	}
	var errs []error
	for i, model := range c.Args().Slice() {
		e.note("%s (%d of %d)", model, i+1, c.NArg())
		one, err := k.contend(model, k.names[i])
		var sig signalled
		var v verbError
		switch {
		case errors.As(err, &sig):
			return k.interrupted(err)
		case errors.As(err, &v) && v.hint == startOver: // no fault of the model's, and the report there is of others
			return fmt.Errorf("%s: %w", model, err)
		case err != nil:
			errs = append(errs, err)
			k.failed = append(k.failed, report.Failure{Model: model, Reason: err.Error()})
			e.warn("%s: %v", model, err)
		default:
			k.found = append(k.found, one)
		}
	}
	if len(k.found) == 0 {
		return k.none(errs)
	}
	r, err := k.rank()
	if err != nil {
		return err
	}
	return k.interrupted(k.finish(r))
}

// interrupted adds what is finished to an error of a signal.
func (k *comparing) interrupted(err error) error {
	var sig signalled
	if !errors.As(err, &sig) {
		return err
	}
	return partial{sig, k.result("rtx.compare/1", "interrupted", k.c.String("out"), object{{"finished", len(k.found)}})}
}

// none is the error where all backbones failed: with the exit code of each, where
// they have the same.
func (k *comparing) none(errs []error) error {
	err := fmt.Errorf("none of the %d backbones could be probed; the first, %q: %w", len(errs), k.failed[0].Model, errs[0])
	first, _ := verdict(errs[0])
	for _, other := range errs {
		if code, _ := verdict(other); code != first {
			return fmt.Errorf("%s: %w", err, featurize.ErrData)
		}
	}
	return err
}

// check looks at the flags alone and names the models.
func (k *comparing) check() error {
	n := networkOptions{}
	readOptions(k.c, &n)
	const usage = "rtx compare MODEL... -d IMAGES -o OUT"
	if k.c.NArg() == 0 {
		return &usageError{msg: "no models are named", hint: usage}
	}
	if err := required(usage, "data", n.Data, "out", k.c.String("out")); err != nil {
		return err
	}
	if n.Data == "-" {
		return &usageError{msg: "--data is -, which can be read only once", hint: "name a file"}
	}
	if err := oneOf("bn", k.c.String("bn"), "frozen", "adapt"); err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return err
	}
	var training trainingOptions
	readOptions(k.c, &training)
	if _, err := training.config(); err != nil {
		return err
	}
	for _, model := range k.c.Args().Slice() {
		name := backboneName(model)
		for i, base := 2, name; slices.Contains(k.names, name); i++ {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		k.names = append(k.names, name)
	}
	return nil
}

// backboneName is what tables call a model: its file without extension, its
// catalogue name, or the run folder whose weights it is.
func backboneName(model string) string {
	if _, err := os.Stat(model); err != nil {
		return filepath.Base(model) // a name, which may have a dot: resnet50_l2_eps0.5
	}
	name := strings.TrimSuffix(filepath.Base(model), filepath.Ext(model))
	full, err := filepath.Abs(model)
	if dir := filepath.Dir(full); err == nil && filepath.Base(dir) == "weights" {
		switch run := filepath.Base(filepath.Dir(dir)); filepath.Base(full) {
		case filepath.Base(bestFile):
			return run
		case filepath.Base(lastFile):
			return run + "-last"
		}
	}
	return name
}

// verbError is how another verb ended.
type verbError struct {
	code      int
	msg, hint string
}

func (v verbError) Error() string { return v.msg }

// verb runs another verb and returns its object. What the environment says of
// --config is for this command, not for the other.
func (k *comparing) verb(args ...string) (map[string]any, error) {
	if err := context.Cause(k.c.Context); err != nil { // a signal between two verbs
		return nil, err
	}
	var out bytes.Buffer
	var shown io.Writer = io.Discard
	if k.env.progress != "none" {
		args, shown = append(args, "--progress", k.env.progress), k.stderr
	}
	code := Main(append(args, "--json", "--config="), &out, shown)
	var o map[string]any
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		return nil, fmt.Errorf("rtx %s: %w", args[0], err)
	}
	if warnings, ok := o["warnings"].([]any); ok {
		for _, w := range warnings {
			if text := fmt.Sprint(w); !slices.Contains(k.warnings, text) {
				k.warn("%s", text)
			}
		}
	}
	switch {
	case code == 0:
		return o, nil
	case code > 128:
		return nil, signalled{syscall.Signal(code - 128)}
	}
	return nil, verbError{code, fmt.Sprint(o["error"]), fmt.Sprint(o["hint"])}
}

// passed are the flags of the command line that another verb has, too.
func (k *comparing) passed(flags ...[]cli.Flag) []string {
	var args []string
	for _, f := range slices.Concat(flags...) {
		name := f.Names()[0]
		if slices.Contains([]string{"config", "json", "progress", "quiet"}, name) || !k.c.IsSet(name) && name != "seeds" {
			continue
		}
		if list, ok := f.(*cli.StringSliceFlag); ok {
			for _, v := range k.c.StringSlice(list.Name) {
				args = append(args, "--"+name+"="+v)
			}
			continue
		}
		args = append(args, fmt.Sprintf("--%s=%v", name, k.c.Value(name)))
	}
	if k.c.Bool("overwrite") {
		args = append(args, "--overwrite")
	}
	return args
}

func (k *comparing) featuresOf(name string) string {
	return filepath.Join(k.c.String("out"), "features", name)
}
func (k *comparing) probeOf(name string) string {
	return filepath.Join(k.c.String("out"), "probes", name)
}

// probeArgs are those of rtx probe for a model.
func (k *comparing) probeArgs(name string) []string {
	args := append([]string{"probe", "-d", k.featuresOf(name), "-o", k.probeOf(name)}, k.passed(probeFlags(0), []cli.Flag{libraryFlag()})...)
	if k.c.IsSet("threads") {
		args = append(args, fmt.Sprint("--threads=", k.c.Int("threads")))
	}
	return args
}

// contend featurizes and probes with one model.
func (k *comparing) contend(model, name string) (*contender, error) {
	one := &contender{model: model, name: name}
	var err error
	one.features, err = k.verb(append([]string{"featurize", "-m", model, "-o", k.featuresOf(name)}, k.passed(dataFlags(), []cli.Flag{bnFlag()}, runFlags(), skipFlags(), outputFlags(), specFlags())...)...)
	if err != nil {
		return nil, err
	}
	if _, err = k.verb(k.probeArgs(name)...); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(k.probeOf(name), "probe.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &one.probe); err != nil {
		return nil, err
	}
	if err := one.read(filepath.Join(k.probeOf(name), "predictions.csv")); err != nil {
		return nil, err
	}
	if len(k.found) > 0 && !slices.Equal(one.paths, k.found[0].paths) {
		return nil, fmt.Errorf("%d samples can be judged, and not the same as the %d of %s: %w", len(one.paths), len(k.found[0].paths), k.found[0].model, featurize.ErrData)
	}
	run, err := readRun(k.featuresOf(name))
	if err != nil || run == nil {
		return nil, errors.Join(err, errors.New("the features have no run.json"))
	}
	one.spec = run.ResolvedSpec
	return one, nil
}

// read takes in the predictions of a probe.
func (one *contender) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 || len(rows[0]) < 3 {
		return fmt.Errorf("%q: no predictions of rtx probe: %w", path, errors.Join(err, featurize.ErrFormat))
	}
	for _, r := range rows[1:] {
		right := 0.0
		for _, predicted := range r[2:] {
			if predicted == r[1] {
				right += 1 / float64(len(r)-2)
			}
		}
		one.paths = append(one.paths, r[0])
		// Of an even number of seeds that are divided the first decides.
		one.right, one.most = append(one.right, right), append(one.most, right > 0.5+1e-9 || math.Abs(right-0.5) < 1e-9 && r[2] == r[1])
	}
	return nil
}
