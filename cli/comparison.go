package cli

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/onnx"
)

// alpha is the level below which backbones are told apart.
const alpha = 0.05

// rank orders the backbones, the best first, and puts together what the report
// shows of them.
func (k *comparing) rank() (*report.Comparison, error) {
	var top1 []float64
	var right [][]bool
	for _, one := range k.found {
		top1, right = append(top1, float64(one.probe.Top1)), append(right, metrics.Majority(one.predictions.Right()))
	}
	ranking, err := metrics.Rank(top1, right, alpha)
	if err != nil {
		return nil, err
	}
	var ordered []*contender
	for _, i := range ranking.Order {
		ordered = append(ordered, k.found[i])
	}
	k.found = ordered
	if len(k.found) > 1 && k.found[0].grouped {
		k.warn("the samples are in groups; McNemar's test takes them for independent, so that its p values may be too small, and backbones told apart that are alike")
	}
	r := &report.Comparison{
		Title: "Which backbone serves " + filepath.Base(filepath.Clean(k.Data)) + " best?", Data: k.about(),
		Spread:   "± is the standard deviation, and bars the 95 % interval, over 2,000 bootstrap samples of the samples judged; that of training samples is not in it.",
		Failed:   k.failed,
		Commands: []string{k.command},
		Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}, {Name: "products", Value: k.found[0].probe.Engine}},
	}
	for _, p := range ranking.Pairs {
		r.Pairs = append(r.Pairs, report.Pair{A: p.A, B: p.B, OnlyA: p.OnlyA, OnlyB: p.OnlyB, P: p.Holm})
	}
	for place, one := range k.found {
		b := k.backbone(one)
		b.Rank, b.P = ranking.Ranks[place], ranking.P[place]
		r.Models = append(r.Models, b)
	}
	return r, nil
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
		"cv": fmt.Sprintf("%d-fold cross-validation, stratified; settings are chosen inside each fold; best.onnx is trained on all samples", k.Folds),
	}[p.Protocol]
	facts := []report.Fact{
		{Name: "images", Value: k.Data}, {Name: "samples judged", Value: fmt.Sprint(p.N)}, {Name: "samples to train on", Value: fmt.Sprint(p.Train)},
		{Name: "classes", Value: fmt.Sprint(p.Classes)}, {Name: "protocol", Value: protocol},
		{Name: "classifier", Value: p.Solver + " on fixed, standardised features"}, {Name: "seeds", Value: fmt.Sprint(len(p.Seeds))},
	}
	if n := k.found[0].skipped; n > 0 {
		facts = append(facts, report.Fact{Name: "images skipped, as they do not decode", Value: fmt.Sprint(n)})
	}
	if n := k.PreResize; n > 0 {
		facts = append(facts, report.Fact{Name: "images first resized to", Value: fmt.Sprintf("%d x %d", n, n)})
	}
	return facts
}

// backbone is a contender as the report shows it.
func (k *comparing) backbone(one *contender) report.Backbone {
	p := one.probe
	b := report.Backbone{
		Name: one.name, Arch: one.spec.Arch, N: p.N,
		Input: one.spec.InputSize, Parameters: one.parameters, ImagesPerSecond: one.speed,
		Top1:         report.Estimate{Value: float64(p.Top1), SD: float64(p.Top1SD), Low: float64(p.Low), High: float64(p.High)},
		MeanPerClass: report.Estimate{Value: float64(p.MeanPerClass), SD: float64(p.PerClassSD), Low: math.NaN(), High: math.NaN()},
		Details: []report.Fact{
			{Name: "model", Value: one.model}, {Name: "features", Value: fmt.Sprint(p.Dim)}, {Name: "chosen", Value: settingText(p.Chosen)},
			{Name: "top-1 of each seed", Value: seedsText(p.Seeds)},
		},
	}
	k.tellTraining(&b, one.model, one.spec)
	if r := one.spec.Robustness; r != nil && r.Norm == "" {
		b.Details = append(b.Details, report.Fact{Name: "accuracy under attack, as its checkpoint says", Value: share(r.Accuracy).percent() + " %"})
	}
	for _, c := range p.PerClass {
		b.Classes = append(b.Classes, report.Class{Label: c.Label, N: c.N, Accuracy: float64(c.Accuracy)})
	}
	return b
}

// tellTraining fills in how a backbone was trained, as far as its Spec or the catalogue
// say so.
func (e *env) tellTraining(b *report.Backbone, model string, spec onnx.Spec) {
	b.Eps, b.ImageNet = math.NaN(), math.NaN()
	if r := spec.Robustness; r != nil {
		if b.Robust = true; r.Norm != "" {
			b.Norm, b.Eps = r.Norm, r.Eps
		}
	}
	c, err := e.openCatalogue()
	if err != nil {
		return
	}
	if m := c.Find(model); m != nil {
		b.Norm, b.Eps = m.Norm, m.Eps
		if m.Top1 > 0 {
			b.ImageNet = m.Top1
		}
	}
}

func seedsText(seeds []seedScore) string {
	var all []string
	for _, s := range seeds {
		all = append(all, s.Top1.percent())
	}
	return strings.Join(all, ", ")
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
	if p := k.found[0].probe; p.Protocol == "cv" && k.Solver != "knn" {
		k.note(crossValidated, "best.onnx", p.Train)
	}
	k.note("%s", filepath.Join(k.Out, "report.html"))
	return nil
}
