package cli

import (
	"fmt"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/finetune/probe"
)

// probeResult is what rtx.probe/1 says, beside what every result says. Shares
// are fractions, means over the seeds.
type probeResult struct {
	Protocol     string        `json:"protocol"` // what was judged on: test, val, or cv, folds that were not trained on
	Top1         share         `json:"top1"`
	Top1SD       share         `json:"top1_sd"` // over bootstrap samples of the judged
	Low          share         `json:"top1_low"`
	High         share         `json:"top1_high"` // of its 95 % interval
	Top5         share         `json:"top5"`      // of min(5, classes) labels
	MeanPerClass share         `json:"mean_per_class"`
	PerClassSD   share         `json:"mean_per_class_sd"`
	N            int           `json:"n"`     // samples judged
	Train        int           `json:"train"` // samples to train on
	Dim          int           `json:"dim"`
	Classes      int           `json:"classes"`
	Solver       string        `json:"solver"`
	Chosen       probe.Setting `json:"chosen"` // of the first seed, by Val
	Val          probe.Score   `json:"val"`
	Grid         []probe.Score `json:"grid"`
	Seeds        []seedScore   `json:"seeds"`
	PerClass     []classScore  `json:"per_class"`
	Engine       string        `json:"engine"`
	Fits         int           `json:"fits"`        // that the figures are of: one for each seed, or fold
	Unconverged  int           `json:"unconverged"` // of these
}

type seedScore struct {
	Seed         uint64          `json:"seed"`
	Top1         share           `json:"top1"`
	MeanPerClass share           `json:"mean_per_class"`
	Chosen       []probe.Setting `json:"chosen"` // of each fold under cv
}

// newProbeResult is what came of a plan.
func newProbeResult(p *probe.Plan, e *probe.Evaluation, solver, engine string) *probeResult {
	r := &probeResult{
		Protocol: string(e.Protocol), Top1: share(e.Top1), Top1SD: share(e.Top1Spread.SD), Low: share(e.Top1Spread.Low), High: share(e.Top1Spread.High),
		Top5: share(e.Top5), MeanPerClass: share(e.MeanPerClass), PerClassSD: share(e.ClassSpread.SD),
		N: e.N, Train: e.Train, Dim: p.Data.D, Classes: len(p.Data.Classes), Solver: solver, Engine: engine,
		Fits: e.Fits, Unconverged: e.Unconverged, Chosen: e.Selected.Chosen, Val: e.Selected.Best, Grid: e.Selected.Scores,
	}
	for _, s := range e.Seeds {
		r.Seeds = append(r.Seeds, seedScore{Seed: s.Seed, Top1: share(s.Top1), MeanPerClass: share(s.MeanPerClass), Chosen: s.Chosen})
	}
	for i, c := range e.PerClass {
		r.PerClass = append(r.PerClass, classScore{p.Data.Classes[i], c.N, c.Correct, c.Predicted, share(c.Accuracy), share(c.Precision), share(c.Accuracy), share(c.F1)})
	}
	return r
}

// fields is the result with its keys in order.
func (r *probeResult) fields() object {
	return object{
		{"protocol", r.Protocol}, {"top1", r.Top1}, {"top1_sd", r.Top1SD}, {"top1_low", r.Low}, {"top1_high", r.High}, {"top5", r.Top5},
		{"mean_per_class", r.MeanPerClass}, {"mean_per_class_sd", r.PerClassSD}, {"n", r.N}, {"train", r.Train}, {"dim", r.Dim}, {"classes", r.Classes},
		{"solver", r.Solver}, {"chosen", r.Chosen}, {"val", r.Val}, {"grid", r.Grid}, {"seeds", r.Seeds}, {"per_class", r.PerClass}, {"engine", r.Engine}, {"fits", r.Fits}, {"unconverged", r.Unconverged},
	}
}

// report tells what came out.
func (p *probing) report() error {
	r := p.result
	if p.json {
		p.print(p.env.result("rtx.probe/1", p.status, p.Out, r.fields()))
		return nil
	}
	if p.status == "cached" {
		p.note("nothing to do: %s holds this probe", p.Out)
	}
	what := map[string]string{"test": "on the test samples", "val": "on the val samples", "cv": "out of fold"}[r.Protocol]
	rows := [][]string{
		{"samples", fmt.Sprintf("%d %s, %d to train on", r.N, what, r.Train)}, {"features", strconv.Itoa(r.Dim)}, {"solver", r.Solver + ", " + settingText(r.Chosen)},
		{"top-1", r.Top1.percent() + " ± " + r.Top1SD.percent()},
	}
	if r.Classes > 5 {
		rows = append(rows, []string{"top-5", r.Top5.percent()})
	}
	rows = append(rows, []string{"mean per-class", r.MeanPerClass.percent() + " ± " + r.PerClassSD.percent()})
	if len(r.Seeds) > 1 {
		low, high := r.Seeds[0].Top1, r.Seeds[0].Top1
		for _, s := range r.Seeds {
			low, high = min(low, s.Top1), max(high, s.Top1)
		}
		rows = append(rows, []string{fmt.Sprintf("%d seeds", len(r.Seeds)), low.percent() + " to " + high.percent()})
	}
	if r.Protocol == "cv" && p.Solver != "knn" {
		p.note(crossValidated, "head.onnx", r.Train)
	}
	return report.Table(p.stdout, rows)
}

// crossValidated says what the figures of cross-validation are of.
const crossValidated = "the figures are of cross-validation: of classifiers that were not trained on the samples that they judge. %s is trained on all %d samples, and evaluating it on them would flatter it"

func settingText(s probe.Setting) string {
	switch {
	case s.K > 0:
		return fmt.Sprintf("%d neighbours by %s", s.K, s.Metric)
	case s.Rate > 0:
		return fmt.Sprintf("penalty %.3g, rate %.3g", s.Lambda, s.Rate)
	}
	return fmt.Sprintf("penalty %.3g", s.Lambda)
}
