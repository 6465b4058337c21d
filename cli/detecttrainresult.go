package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// detectResult is what a run came to: that of its first seed, and all.
type detectResult struct {
	Protocol string            `json:"protocol"` // the split that the figures are of: test, val, or train where nothing was held out
	Kind     string            `json:"kind"`
	Metric   string            `json:"metric"` // bbox or segm
	Seeds    []*finetune.Trial `json:"seeds"`
	AP       share             `json:"ap"`    // of the metric
	SD       share             `json:"ap_sd"` // over the seeds
	AP50     share             `json:"ap50"`
}

// detectResultOf is what a run came to.
func detectResultOf(r *finetune.RunResult, kind, metric string) *detectResult {
	f := &detectResult{Protocol: "train", Kind: kind, Metric: metric, Seeds: r.Seeds}
	if split, ok := r.Judged(); ok {
		f.Protocol = split.String()
	}
	ap := r.Summary(metric + "_ap")
	f.AP, f.SD, f.AP50 = share(ap.Mean), share(ap.SD), share(r.Summary(metric+"_ap50").Mean)
	return f
}

// line is the result, for people.
func (f *detectResult) line() string {
	first := f.Seeds[0]
	if f.Protocol == "train" {
		return counted(first.Last.Epoch, "epoch") + "; nothing was held out, so there are no figures"
	}
	score, note := first.Best, " (of the images held out to choose the epoch: somewhat too good)"
	if f.Protocol == "test" {
		score, note = first.Test, ""
	}
	spread := ""
	if len(f.Seeds) > 1 {
		spread = fmt.Sprintf(" of seed %d; %s AP %s ± %s over %d seeds", first.Seed, map[string]string{"bbox": "box", "segm": "mask"}[f.Metric], percentText(float64(f.AP)), percentText(float64(f.SD)), len(f.Seeds))
	}
	return fmt.Sprintf("%s %s, of epoch %d%s%s", f.Protocol, precisionText(score), first.Best.Epoch, spread, note)
}

// detectScore is a score in rtx.detect/1: the figures of boxes, and of masks, each as an
// object; nil: nothing was judged.
func detectScore(s *finetune.Score) any {
	if s == nil || s.N == 0 {
		return nil
	}
	of := map[string]object{}
	for _, f := range s.Figures {
		kind, name, _ := strings.Cut(f.Name, "_")
		for long, short := range map[string]string{"_small": "_s", "_medium": "_m", "_large": "_l"} {
			name = strings.ReplaceAll(name, long, short)
		}
		of[kind] = append(of[kind], object{{name, f.Value}}...)
	}
	o := object{{"n", s.N}}
	for _, kind := range []string{"bbox", "segm"} {
		if len(of[kind]) > 0 {
			o = append(o, object{{kind, of[kind]}}...)
		}
	}
	return o
}

// object is what rtx.detect/1 says.
func (f *detectResult) object(weights string) object {
	first := f.Seeds[0]
	var seeds []object
	for _, one := range f.Seeds {
		seeds = append(seeds, object{{"seed", one.Seed}, {"epoch", epochOf(one.Best)}, {"val", detectScore(one.Best)}, {"test", detectScore(one.Test)}, {"stop", one.Stop}})
	}
	return object{
		{"kind", f.Kind}, {"protocol", f.Protocol}, {"metric", f.Metric}, {"ap", f.AP}, {"ap_sd", f.SD}, {"ap50", f.AP50},
		{"best", object{{"epoch", epochOf(first.Best)}, {"val", detectScore(first.Best)}, {"test", detectScore(first.Test)}}},
		{"weights", weights}, {"steps", first.Steps}, {"stop", first.Stop}, {"lr", first.LearningRate}, {"seeds", seeds}, {"verify", first.Verify},
	}
}

// tellDoubts warns of trainings that are not to be trusted.
func (t *detectorTraining) tellDoubts(trials []*finetune.Trial) {
	for _, one := range trials {
		for _, d := range one.Doubts {
			t.warn("%s%s; try another --lr, or more --epochs", seedName(one), d)
		}
		if s := one.Best; s != nil && s.N > 0 && s.Figure("bbox_ap50") < .01 {
			t.warn("%snext to nothing is found (box AP50 %s): try more --epochs, or another --lr; rtx detect check draws the boxes of the data", seedName(one), percentText(s.Figure("bbox_ap50")))
		}
	}
}

// finish writes the files of the run as a whole; run.json, the last, says that it is done.
func (t *detectorTraining) finish(ctx context.Context) (*detectResult, error) {
	f := detectResultOf(t.found, t.kind, t.o.Metric)
	t.tellDoubts(t.found.Trials)
	names := []string{"results.csv", "curves.svg", trainingPage}
	if best := f.Seeds[0].Best; best != nil && best.N > 0 {
		names = append(names, predictionsOfRun, precisionDrawing)
	}
	if _, err := os.Stat(filepath.Join(t.o.Out, f.Seeds[0].Dir, labelsFile)); err == nil { // else no image could be read
		names = append(names, labelsFile)
	}
	if err := copyOfTrial(ctx, t.o.Out, f.Seeds[0], names...); err != nil {
		return nil, err
	}
	m, err := onnx.Load(t.folder.Path(finetune.BestFile))
	if err != nil {
		return nil, err
	}
	use, err := useContent(m, finetune.BestFile)
	if err != nil {
		return nil, err
	}
	if err := nothingWritten(t.folder.Write(ctx, use)); err != nil {
		return nil, err
	}
	p := t.recipe.Published
	record := detectRecord{
		Result: f, Trials: t.found.Trials, Engine: t.engine, Library: t.library, HeldOut: t.data.HeldOut(), Classes: t.objects.classes,
		Recipe: detectRecipe{t.o.Recipe, p.BatchSize, p.LearningRate, p.Steps}, Failed: t.data.Failed(), Warnings: t.warnings,
	}
	settings, err := t.runSettings()
	if err != nil {
		return nil, err
	}
	if record.ResolvedSpec, _, err = m.Spec(); err != nil {
		return nil, err
	}
	record.Version, record.Data, record.Spec = buildVersion(), t.Data, t.specOrigin()
	record.Model = output.ModelFile{File: t.Model, SHA256: t.base}
	if err := record.Finish("detect", settings); err != nil {
		return nil, err
	}
	return f, nothingWritten(t.folder.Write(ctx, output.Content{Name: output.RunFile, Write: output.JSON(record)}))
}

// detectRecord is the run.json of a training run of a detector.
type detectRecord struct {
	output.Run[detectSettings]
	Result   *detectResult       `json:"result"`
	Trials   []*finetune.Trial   `json:"trials"`
	Recipe   detectRecipe        `json:"recipe"`
	Engine   string              `json:"engine"`
	Library  runtime.Library     `json:"onnxruntime"`
	HeldOut  bool                `json:"held_out"`
	Classes  []onnx.DetectClass  `json:"classes"`
	Failed   []featurize.Failure `json:"failed"`
	Warnings []string            `json:"warnings"`
}

// detectRecipe is the recipe as it is published.
type detectRecipe struct {
	Name         string  `json:"name"`
	BatchSize    int     `json:"batch_size"` // what the learning rate and the steps are for
	LearningRate float64 `json:"lr"`
	Steps        int     `json:"steps"` // 0: epochs are counted
}

// readDetectResult reads the result of a finished run.
func readDetectResult(dir string) (*detectResult, error) {
	var r detectRecord
	err := output.ReadRun(dir, &r)
	if err != nil || r.Result == nil || len(r.Result.Seeds) == 0 {
		return nil, fmt.Errorf("output %q: run.json is damaged: %w", dir, errors.Join(err, output.ErrConfig))
	}
	return r.Result, nil
}

// report tells what came out.
func (t *detectorTraining) report(status string, f *detectResult) error {
	if status == "cached" {
		t.tellDoubts(f.Seeds)
	}
	if t.json {
		weights := filepath.Join(t.o.Out, "weights", "best.onnx")
		t.print(t.result("rtx.detect/1", status, t.o.Out, append(f.object(weights), object{{"skipped", len(t.data.Failed())}}...)))
		return nil
	}
	if status == "cached" {
		t.note("nothing to do: the run is there")
	}
	t.note("%s", f.line())
	t.note("python3 %s IMAGE... uses the weights without rtx", quoted(filepath.Join(t.o.Out, useFile)))
	fmt.Fprintln(t.stdout, t.o.Out)
	return nil
}
