package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/onnx"
)

// alpha is the level below which backbones are told apart.
const alpha = 0.05

// rank orders the backbones and tests every two of them.
func (k *comparing) rank() (*report.Comparison, error) {
	slices.SortStableFunc(k.found, func(a, b *contender) int { return cmp.Compare(b.probe.Top1, a.probe.Top1) })
	var most [][]bool
	var top1 []float64
	for _, one := range k.found {
		most, top1 = append(most, one.most), append(top1, float64(one.probe.Top1))
	}
	pairs, err := metrics.PairwiseMcNemar(most)
	if err != nil {
		return nil, err
	}
	if len(pairs) > 0 {
		if err := k.tellGroups(); err != nil {
			return nil, err
		}
	}
	r := &report.Comparison{
		Title: "Which backbone serves " + filepath.Base(filepath.Clean(k.c.String("data"))) + " best?", Data: k.about(),
		Spread:   "± is the standard deviation, and bars the 95 % interval, over 2,000 bootstrap samples of the samples judged; that of training samples is not in it.",
		Failed:   k.failed,
		Commands: []string{k.command()},
		Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}, {Name: "products", Value: k.found[0].probe.Engine}},
	}
	for _, p := range pairs {
		r.Pairs = append(r.Pairs, report.Pair{A: p.A, B: p.B, OnlyA: p.OnlyA, OnlyB: p.OnlyB, P: p.Holm})
	}
	ranks := metrics.Ranks(top1, pairs, alpha)
	for i, one := range k.found {
		b := k.backbone(one)
		b.Rank, b.P = ranks[i], math.NaN()
		for _, p := range pairs {
			if p.A == 0 && p.B == i {
				b.P = p.Holm
			}
		}
		r.Models = append(r.Models, b)
	}
	return r, nil
}

// tellGroups warns where McNemar's test is told more than there is.
func (k *comparing) tellGroups() error {
	s, err := featurize.OpenSet(k.featuresOf(k.found[0].name))
	if err != nil {
		return err
	}
	defer s.Close()
	if slices.ContainsFunc(s.Records, func(r featurize.Record) bool { return r.Group != "" }) {
		k.warn("the samples are in groups; McNemar's test takes them for independent, so that its p values may be too small, and backbones told apart that are alike")
	}
	return nil
}

// notes are the warnings, but for those about what failed, which is told beside
// them.
func (k *comparing) notes() []string {
	return slices.DeleteFunc(slices.Clone(k.warnings), func(w string) bool {
		return slices.ContainsFunc(k.failed, func(f report.Failure) bool { return w == f.Model+": "+f.Reason })
	})
}

// about tells of the data and of how the figures were made.
func (k *comparing) about() []report.Fact {
	p := k.found[0].probe
	protocol := map[string]string{
		"test": "trained on the training samples, judged on the test samples", "val": "trained on the training samples, judged on the val samples",
		"cv": fmt.Sprintf("%d-fold cross-validation, stratified; settings are chosen inside each fold", k.c.Int("folds")),
	}[p.Protocol]
	facts := []report.Fact{
		{Name: "images", Value: k.c.String("data")}, {Name: "samples judged", Value: fmt.Sprint(p.N)}, {Name: "samples to train on", Value: fmt.Sprint(p.Train)},
		{Name: "classes", Value: fmt.Sprint(p.Classes)}, {Name: "protocol", Value: protocol},
		{Name: "classifier", Value: p.Solver + " on fixed, standardised features"}, {Name: "seeds", Value: fmt.Sprint(len(p.Seeds))},
	}
	if n, _ := k.found[0].features["skipped"].(float64); n > 0 {
		facts = append(facts, report.Fact{Name: "images skipped, as they do not decode", Value: fmt.Sprint(n)})
	}
	if n := k.c.Int("pre-resize"); n > 0 {
		facts = append(facts, report.Fact{Name: "images first resized to", Value: fmt.Sprintf("%d x %d", n, n)})
	}
	return facts
}

// command is the command line, for people.
func (k *comparing) command() string {
	args := []string{"rtx compare"}
	for _, model := range k.c.Args().Slice() {
		args = append(args, quoted(model))
	}
	for _, f := range k.c.Command.Flags {
		name := f.Names()[0]
		if slices.Contains(notRecorded, name) || !k.c.IsSet(name) {
			continue
		}
		if _, ok := f.(*cli.StringSliceFlag); ok {
			for _, v := range k.c.StringSlice(name) {
				args = append(args, "--"+name, quoted(v))
			}
			continue
		}
		args = append(args, "--"+name, quoted(strings.Trim(fmt.Sprint(k.c.Value(name)), "[]")))
	}
	return strings.Join(args, " ")
}

func quoted(arg string) string {
	if strings.ContainsAny(arg, " \t\n'\"$&|;<>()*?[]#~`\\") {
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return arg
}

// backbone is a contender as the report shows it.
func (k *comparing) backbone(one *contender) report.Backbone {
	p := one.probe
	b := report.Backbone{
		Name: one.name, Arch: one.spec.Arch, Eps: math.NaN(), ImageNet: math.NaN(), N: p.N,
		Top1:         report.Estimate{Value: float64(p.Top1), SD: float64(p.Top1SD), Low: float64(p.Low), High: float64(p.High)},
		MeanPerClass: report.Estimate{Value: float64(p.MeanPerClass), SD: float64(p.PerClassSD), Low: math.NaN(), High: math.NaN()},
		Details: []report.Fact{
			{Name: "model", Value: one.model}, {Name: "features", Value: fmt.Sprint(p.Dim)}, {Name: "chosen", Value: settingText(p.Chosen)},
			{Name: "top-1 of each seed", Value: seedsText(p.Seeds)},
		},
	}
	if r := one.spec.Robustness; r != nil {
		b.Norm, b.Eps = r.Norm, r.Eps
	}
	if c, err := k.openCatalogue(); err == nil {
		if m := c.find(one.model); m != nil {
			b.Norm, b.Eps = m.Norm, m.Eps
			if m.Top1 > 0 {
				b.ImageNet = m.Top1
			}
		}
	}
	for _, c := range p.PerClass {
		b.Classes = append(b.Classes, report.Class{Label: c.Label, N: c.N, Accuracy: float64(c.Accuracy)})
	}
	return b
}

func seedsText(seeds []seedScore) string {
	var all []string
	for _, s := range seeds {
		all = append(all, s.Top1.percent())
	}
	return strings.Join(all, ", ")
}

// finish writes the files of OUT, and tells.
func (k *comparing) finish(r *report.Comparison) error {
	dir, best := k.c.String("out"), k.found[0]
	files := []file{}
	if best.probe.Solver == "knn" {
		k.warn("best.onnx is for linear classifiers, and --solver is knn")
	} else if err := k.attach(best); errors.As(err, new(signalled)) {
		return err
	} else if err != nil {
		k.warn("best.onnx is not written: %v", err)
	} else {
		m, err := onnx.Load(filepath.Join(k.probeOf(best.name), "classifier.onnx"))
		if err != nil {
			return err
		}
		files = append(files, file{"best.onnx", m.Write})
	}
	if len(files) == 0 {
		if err := removeFiles(dir, "best.onnx"); err != nil { // another comparison's
			return err
		}
	}
	r.Notes = k.notes()
	own := k.fields(r)
	args, err := resolved(k.c)
	if err != nil {
		return err
	}
	files = append(files, file{"args.yaml", func(w io.Writer) error { _, err := w.Write(args); return err }})
	files = append(files, file{"results.csv", r.CSV}, file{"report.md", r.Markdown}, file{"report.html", r.HTML}, file{"compare.json", output.JSON(append(k.result("rtx.compare/1", "done", dir, own), object{{"rtx", buildVersion()}}...))})
	if err := writeFiles(k.c.Context, dir, files); err != nil {
		return err
	}
	if k.json && len(k.failed) == 0 {
		k.print(k.result("rtx.compare/1", "done", dir, own))
	} else if !k.json {
		if err := k.table(r); err != nil {
			return err
		}
	}
	if n := len(k.failed); n > 0 {
		err := fmt.Errorf("%d of %d backbones failed; the first, %s: %s", n, k.c.NArg(), k.failed[0].Model, k.failed[0].Reason)
		return hinted{partial{err, k.result("rtx.compare/1", "failed", dir, own)}, "the figures of the others are in " + dir}
	}
	return nil
}

// attach makes the classifier of the best backbone.
func (k *comparing) attach(best *contender) error {
	args := slices.DeleteFunc(k.probeArgs(best.name), func(a string) bool { return a == "--overwrite" })
	run, err := readRun(k.featuresOf(best.name))
	if err != nil {
		return err
	}
	model := best.model
	if run.Config.Statistics != "" { // the classifier has the batch norms that the features are of
		model = filepath.Join(k.probeOf(best.name), "adapted.onnx")
		defer os.Remove(model)
		flags := k.passed(dataFlags(), skipFlags(), outputFlags(), specFlags(), adaptRunFlags())
		if _, err := k.verb(append([]string{"adapt", "-m", best.model, "-o", model, "--overwrite"}, flags...)...); err != nil {
			return err
		}
	}
	_, err = k.verb(append(args, "--attach", model)...)
	return err
}

func (k *comparing) fields(r *report.Comparison) object {
	var ranking []object
	for i, b := range r.Models {
		p := k.found[i].probe
		ranking = append(ranking, object{
			{"model", k.found[i].model}, {"name", b.Name}, {"rank", b.Rank}, {"top1", p.Top1}, {"sd", p.Top1SD}, {"low", p.Low}, {"high", p.High},
			{"mean_per_class", p.MeanPerClass}, {"n", p.N}, {"p_vs_best", share(b.P)}, {"arch", b.Arch}, {"norm", b.Norm}, {"eps", share(b.Eps)}, {"imagenet_top1", share(b.ImageNet)},
			{"features", k.featuresOf(b.Name)}, {"probe", k.probeOf(b.Name)},
		})
	}
	failed := []object{}
	for _, f := range k.failed {
		failed = append(failed, object{{"model", f.Model}, {"error", f.Reason}})
	}
	return object{{"ranking", ranking}, {"best", k.found[0].model}, {"failed", failed}, {"protocol", k.found[0].probe.Protocol}}
}

// table shows the order.
func (k *comparing) table(r *report.Comparison) error {
	rows := [][]string{{"rank", "model", "trained", "top-1", "mean per-class", "p against the best"}}
	for _, b := range r.Models {
		p := ""
		if !math.IsNaN(b.P) {
			p = fmt.Sprintf("%.2g", b.P)
		}
		rows = append(rows, []string{
			fmt.Sprint(b.Rank), b.Name, b.Training(), share(b.Top1.Value).percent() + " ± " + share(b.Top1.SD).percent(), share(b.MeanPerClass.Value).percent(), p,
		})
	}
	if err := report.Table(k.stdout, rows); err != nil {
		return err
	}
	k.note("%s", filepath.Join(k.c.String("out"), "report.html"))
	return nil
}
