package cli

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
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
}

type seedScore struct {
	Seed         uint64          `json:"seed"`
	Top1         share           `json:"top1"`
	MeanPerClass share           `json:"mean_per_class"`
	Chosen       []probe.Setting `json:"chosen"` // of each fold under cv
}

// summary puts the figures of all seeds together.
func (p *probing) summary(f *found) (*probeResult, error) {
	k, first := len(p.data.Classes), f.seeds[0].selected
	all := metrics.New(k, metrics.Config{})
	labels, right := make([]int, len(p.judged)), make([]float64, len(p.judged))
	r := &probeResult{
		Protocol: p.protocol, N: len(p.judged), Train: len(p.train), Dim: p.data.D, Classes: k, Solver: p.solver.Solver,
		Chosen: first.Chosen, Val: first.Best, Grid: first.Scores, Engine: p.engine,
	}
	if n := p.c.Int("per-class"); n > 0 {
		classes := map[int]bool{}
		for _, row := range p.train {
			classes[p.data.Y[row]] = true
		}
		r.Train = n * len(classes)
	}
	for _, j := range f.seeds {
		one := metrics.New(k, metrics.Config{})
		for i, top := range j.top {
			labels[i] = p.test.Y[p.judged[i]]
			if top[0].Class == labels[i] {
				right[i] += 1 / float64(len(f.seeds))
			}
			for _, s := range []*metrics.Scores{one, all} {
				if err := s.AddTop(top, labels[i]); err != nil {
					return nil, err
				}
			}
		}
		mean, _ := one.MeanPerClass()
		s := seedScore{Seed: j.seed, Top1: share(one.Top1()), MeanPerClass: share(mean)}
		for _, fold := range j.folds {
			s.Chosen = append(s.Chosen, fold.Chosen)
		}
		if j.folds == nil {
			s.Chosen = []probe.Setting{j.selected.Chosen}
		}
		r.Seeds = append(r.Seeds, s)
	}
	top1, perClass, err := metrics.Bootstrap(labels, right, metrics.BootstrapConfig{Groups: p.groups()})
	if err != nil {
		return nil, err
	}
	mean, _ := all.MeanPerClass()
	r.Top1, r.Top1SD, r.Low, r.High = share(all.Top1()), share(top1.SD), share(top1.Low), share(top1.High)
	r.Top5, r.MeanPerClass, r.PerClassSD = share(all.TopK()), share(mean), share(perClass.SD)
	seeds := len(f.seeds)
	for i, c := range all.PerClass() {
		r.PerClass = append(r.PerClass, classScore{
			p.data.Classes[i], c.N / seeds, int(math.Round(float64(c.Correct) / float64(seeds))), int(math.Round(float64(c.Predicted) / float64(seeds))),
			share(c.Accuracy), share(c.Precision), share(c.Accuracy), share(c.F1),
		})
	}
	return r, nil
}

// groups numbers the groups of the judged samples, nil without groups.
func (p *probing) groups() []int {
	if p.test.Groups == nil {
		return nil
	}
	numbers, out := map[string]int{}, make([]int, len(p.judged))
	for i, row := range p.judged {
		g := p.test.Groups[row]
		if g == "" { // a group of its own
			g = fmt.Sprintf("\x00%d", row)
		}
		if _, ok := numbers[g]; !ok {
			numbers[g] = len(numbers)
		}
		out[i] = numbers[g]
	}
	return out
}

// fields is the result with its keys in order.
func (r *probeResult) fields() object {
	return object{
		{"protocol", r.Protocol}, {"top1", r.Top1}, {"top1_sd", r.Top1SD}, {"top1_low", r.Low}, {"top1_high", r.High}, {"top5", r.Top5},
		{"mean_per_class", r.MeanPerClass}, {"mean_per_class_sd", r.PerClassSD}, {"n", r.N}, {"train", r.Train}, {"dim", r.Dim}, {"classes", r.Classes},
		{"solver", r.Solver}, {"chosen", r.Chosen}, {"val", r.Val}, {"grid", r.Grid}, {"seeds", r.Seeds}, {"per_class", r.PerClass}, {"engine", r.Engine},
	}
}

// write makes the files of OUT, probe.json last. Those of an earlier probe go
// first, lest they be taken for its own.
func (p *probing) write(dir string, f *found) error {
	files := []file{{"args.yaml", func(w io.Writer) error { _, err := w.Write(p.args); return err }}}
	if head, ok := f.head.(*probe.Head); ok {
		m, err := onnx.NewLinear(onnx.Linear{W: head.W, B: head.B, D: head.D, Classes: p.data.Classes})
		if err != nil {
			return err
		}
		files = append(files, file{"head.onnx", m.Write})
	}
	whole := append(p.env.result("rtx.probe/1", "done", dir, f.result.fields()), object{{"rtx", buildVersion()}, {"config", p.config}}...)
	files = append(files,
		file{"predictions.csv", func(w io.Writer) error { return csv.NewWriter(w).WriteAll(p.predictions(f)) }},
		file{"probe.json", output.JSON(whole)})
	if err := removeFiles(dir, "probe.json", "head.onnx", "classifier.onnx"); err != nil {
		return err
	}
	return writeFiles(p.c.Context, dir, files)
}

// predictions are the classes that each judged sample was given, by seed.
func (p *probing) predictions(f *found) [][]string {
	head := []string{"path", "class"}
	for _, j := range f.seeds {
		head = append(head, fmt.Sprintf("predicted_%d", j.seed))
	}
	rows := [][]string{head}
	for i, row := range p.judged {
		line := []string{p.test.paths[row], p.data.Classes[p.test.Y[row]]}
		for _, j := range f.seeds {
			line = append(line, p.data.Classes[j.top[i][0].Class])
		}
		rows = append(rows, line)
	}
	return rows
}

// report tells what came out.
func (p *probing) report(status string, r *probeResult) error {
	if p.json {
		p.print(p.env.result("rtx.probe/1", status, p.c.String("out"), r.fields()))
		return nil
	}
	if status == "cached" {
		p.note("nothing to do: %s holds this probe", p.c.String("out"))
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
	return report.Table(p.stdout, rows)
}

func settingText(s probe.Setting) string {
	switch {
	case s.K > 0:
		return fmt.Sprintf("%d neighbours by %s", s.K, s.Metric)
	case s.Rate > 0:
		return fmt.Sprintf("penalty %.3g, rate %.3g", s.Lambda, s.Rate)
	}
	return fmt.Sprintf("penalty %.3g", s.Lambda)
}

// attach writes the network that made the features, with the head that OUT
// holds, as classifier.onnx.
func (p *probing) attach(name string) error {
	dir := p.c.String("out")
	head, err := onnx.LoadLinear(filepath.Join(dir, "head.onnx"))
	if err != nil {
		return err
	}
	m, err := p.openModel(name)
	if err != nil {
		return err
	}
	sum, err := m.SHA256()
	if err != nil {
		return err
	}
	run := p.data.run
	if run == nil || run.Config.Layer == "" {
		return &usageError{msg: fmt.Sprintf("--attach: %q has no run.json, which would say what the features are of", p.data.path), hint: "rtx featurize makes feature sets"}
	}
	if m.Metadata(statisticsKey) != "" && m.Metadata(statisticsKey) == run.Config.Statistics {
		if spec, _, err := m.Spec(); err == nil && slices.Contains(spec.Parents, run.Model.SHA256) {
			run.Config.Statistics, run.Model.SHA256 = "", sum // rtx adapt made it of the model
		}
	}
	if run.Config.Statistics != "" {
		return &usageError{msg: fmt.Sprintf("--attach %q: the features are of --bn adapt, and the model's batch norms have other statistics", name), hint: "rtx adapt of the same model and images makes the model to name"}
	}
	if run.Model.SHA256 != sum {
		return &usageError{msg: fmt.Sprintf("--attach %q: the features are of another model, %q", name, run.Model.File), hint: "name the model that rtx featurize was given"}
	}
	if run.Config.PreResize != "0" && run.Config.PreResize != "" {
		p.warn("classifier.onnx says nothing of --pre-resize %s, which the features had", run.Config.PreResize)
	}
	if m, err = m.WithSpec(run.ResolvedSpec); err != nil {
		return err
	}
	if m, err = p.ranked(m, run); err != nil {
		return err
	}
	if m.Rank(run.Config.Layer) == 4 && run.Config.Pool == "none" {
		return &usageError{msg: fmt.Sprintf("--attach: the features of %q are whole maps", p.data.path), hint: "classifier.onnx is for features [N,D], or [N,C,H,W] under --pool avg"}
	}
	if m, err = m.Attach(run.Config.Layer, head); err != nil {
		return hinted{err, "classifier.onnx is for features [N,D], or [N,C,H,W] under --pool avg"}
	}
	spec, _, err := m.Spec()
	if err != nil {
		return err
	}
	spec.Parents = append(spec.Parents, sum)
	if m, err = m.WithSpec(spec); err != nil {
		return err
	}
	return writeFile(p.c.Context, filepath.Join(dir, "classifier.onnx"), m.Write)
}

// ranked is the model with the dimensions of the features' layer declared: where
// its file does not say them, onnxruntime does.
func (p *probing) ranked(m *onnx.Model, run *featurizeRun) (*onnx.Model, error) {
	if m.Rank(run.Config.Layer) >= 0 {
		return m, nil
	}
	n := network{env: p.env}
	readOptions(p.c, &n.networkOptions)
	var err error
	if n.library, err = runtime.Find(n.Library); err != nil {
		return nil, err
	}
	return runtime.DeclareRank(p.c.Context, m, run.ResolvedSpec, run.Config.Layer, n.sessionOptions())
}
