package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// finetuneResult is what a run came to: that of its first seed, and all.
type finetuneResult struct {
	Protocol string            `json:"protocol"` // the split that the figures are of: test, val, or train where nothing was held out
	Seeds    []*finetune.Trial `json:"seeds"`
	Top1     share             `json:"top1"`
	SD       share             `json:"top1_sd"` // over the seeds
	PerClass share             `json:"mean_per_class"`
	Robust   *share            `json:"robust"` // top-1 under attack, with --adversarial
	Probe    *probed           `json:"probe"`  // the network before training; nil: none
}

// finetuneResultOf is what a run came to.
func finetuneResultOf(r *finetune.RunResult) *finetuneResult {
	f := &finetuneResult{Protocol: "train", Seeds: r.Seeds}
	if split, ok := r.Judged(); ok {
		f.Protocol = split.String()
	}
	top1 := r.Summary(classify.Top1)
	f.Top1, f.SD, f.PerClass = share(top1.Mean), share(top1.SD), share(r.Summary(classify.MeanPerClass).Mean)
	if v := r.Summary(classify.Robust).Mean; !math.IsNaN(v) {
		robust := share(v)
		f.Robust = &robust
	}
	return f
}

// tellDoubts warns of trainings that are not to be trusted.
func (t *finetuning) tellDoubts(trials []*finetune.Trial) {
	for _, one := range trials {
		var words []string
		hint := "try another --lr, or more --epochs"
		for _, d := range one.Doubts {
			if words = append(words, d.String()); d.Kind == finetune.AboveChance {
				hint = "try a smaller --lr, or --clip 1"
			}
		}
		if len(words) > 0 {
			t.warn("%s%s; %s", trainingName(one), strings.Join(words, "; "), hint)
		}
	}
}

func (f *finetuneResult) line() string {
	line := f.figures()
	if f.doubtful() {
		line += "; not to be trusted: see the warning"
	}
	return line
}

// doubtful reports whether the figures are to be doubted. Those of the weights that
// training started from are not, when it is the training after them that failed.
func (f *finetuneResult) doubtful() bool {
	first := f.Seeds[0]
	return slices.ContainsFunc(first.Doubts, func(d finetune.Doubt) bool {
		return first.Best == nil || first.Best.Epoch > 0 || d.Split == finetune.Test.String()
	})
}

// figures are those of the run, for people.
func (f *finetuneResult) figures() string {
	first := f.Seeds[0]
	if f.Protocol == "train" {
		return counted(first.Last.Epoch, "epoch") + "; nothing was held out, so there are no figures"
	}
	spread := ""
	if len(f.Seeds) > 1 {
		spread = fmt.Sprintf(" ± %.2f over %d seeds", 100*float64(f.SD), len(f.Seeds))
	}
	if f.Robust != nil {
		spread += fmt.Sprintf(", %.2f %% under attack", 100*float64(*f.Robust))
	}
	note := ""
	if f.Protocol == "val" {
		note = " (of the images held out to choose the epoch: somewhat too good)"
	}
	of := fmt.Sprintf("epoch %d", first.Best.Epoch)
	if first.Dir != "" {
		of += fmt.Sprintf(", learning rate %g", first.LearningRate)
	}
	return fmt.Sprintf("%s top-1 %.2f %%%s, mean per class %.2f %%, of %s%s", f.Protocol, 100*float64(f.Top1), spread, 100*float64(f.PerClass), of, note)
}

func scoreObject(s *finetune.Score) any {
	if s == nil || s.N == 0 {
		return nil
	}
	o := object{{"n", s.N}, {"loss", s.Loss}, {"top1", s.Figure(classify.Top1)}, {"mean_per_class", s.Figure(classify.MeanPerClass)}}
	if robust := s.Figure(classify.Robust); !math.IsNaN(robust) {
		o = append(o, object{{"robust", robust}}...)
	}
	return o
}

// object is what rtx.finetune/1 says.
func (f *finetuneResult) object(weights string) object {
	first := f.Seeds[0]
	var seeds []object
	for _, one := range f.Seeds {
		seeds = append(seeds, object{{"seed", one.Seed}, {"lr", one.LearningRate}, {"epoch", epochOf(one.Best)}, {"val", scoreObject(one.Best)}, {"test", scoreObject(one.Test)}, {"stop", one.Stop}})
	}
	return object{
		{"protocol", f.Protocol}, {"top1", f.Top1}, {"top1_sd", f.SD}, {"mean_per_class", f.PerClass}, {"robust", f.Robust},
		{"best", object{{"epoch", epochOf(first.Best)}, {"val", scoreObject(first.Best)}, {"test", scoreObject(first.Test)}}},
		{"probe", f.Probe.object()}, {"weights", weights}, {"steps", first.Steps}, {"stop", first.Stop}, {"lr", first.LearningRate}, {"seeds", seeds}, {"verify", first.Verify},
	}
}

func epochOf(s *finetune.Score) int {
	if s == nil {
		return 0
	}
	return s.Epoch
}

// finish writes the files of the run as a whole; run.json, the last, says that
// it is done.
func (t *finetuning) finish(ctx context.Context) (*finetuneResult, error) {
	f := finetuneResultOf(t.found)
	t.tellDoubts(t.found.Trials)
	f.Probe = t.probe
	t.compareProbe(f)
	if err := copyOfTrial(ctx, t.out, f.Seeds[0], "results.csv", "curves.svg"); err != nil {
		return nil, err
	}
	if err := t.writeUse(ctx); err != nil {
		return nil, err
	}
	record := runRecord{
		Listing: t.id, Result: f, Trials: t.found.Trials, Engine: t.engine, Library: t.library,
		HeldOut: t.data.HeldOut(), Classes: t.data.Classes(), Failed: t.data.Check().Failed, Unread: t.listing.Unread, Warnings: t.warnings,
	}
	record.Version, record.Data, record.Spec, record.ResolvedSpec = buildVersion(), t.Data, t.specOrigin(), t.spec
	record.Model = output.ModelFile{File: t.Model, SHA256: t.base}
	if err := record.Finish("finetune", t.runSettings()); err != nil {
		return nil, err
	}
	return f, nothingWritten(t.folder.Write(ctx, output.Content{Name: output.RunFile, Write: output.JSON(record)}))
}

// copyOfTrial copies files of a training to the folder of its run, unless it is that.
func copyOfTrial(ctx context.Context, run string, one *finetune.Trial, names ...string) error {
	if one.Dir == "" {
		return nil
	}
	for _, name := range names {
		if err := output.Copy(ctx, filepath.Join(run, one.Dir, name), filepath.Join(run, name)); err != nil {
			return err
		}
	}
	return nil
}

// writeUse writes use.py, which uses the best weights.
func (t *finetuning) writeUse(ctx context.Context) error {
	m, err := onnx.Load(t.folder.Path(finetune.BestFile))
	if err != nil {
		return err
	}
	use, err := useContent(m, finetune.BestFile)
	if err != nil {
		return err
	}
	return nothingWritten(t.folder.Write(ctx, use))
}

// runRecord is the run.json of a training run.
type runRecord struct {
	output.Run[runSettings]
	Listing  featurize.Identity  `json:"listing"`
	Result   *finetuneResult     `json:"result"`
	Trials   []*finetune.Trial   `json:"trials"`
	Engine   string              `json:"engine"`
	Library  runtime.Library     `json:"onnxruntime"`
	HeldOut  bool                `json:"held_out"`
	Classes  []string            `json:"classes"`
	Failed   []featurize.Failure `json:"failed"`
	Unread   map[string]int      `json:"unread"` // files that are no images, by kind
	Warnings []string            `json:"warnings"`
}

// readFinetuneResult reads the result of a finished run.
func readFinetuneResult(dir string) (*finetuneResult, error) {
	var r runRecord
	err := output.ReadRun(dir, &r)
	if err != nil || r.Result == nil || len(r.Result.Seeds) == 0 {
		return nil, fmt.Errorf("output %q: run.json is damaged: %w", dir, errors.Join(err, output.ErrConfig))
	}
	return r.Result, nil
}
