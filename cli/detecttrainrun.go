package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// run trains what is not there yet, and writes what came out.
func (t *detectorTraining) run(ctx context.Context) (*detectResult, error) {
	task, err := t.task(ctx)
	if err != nil {
		return nil, err
	}
	defer t.pictures.close()
	show := &detectorDisplay{detectorTraining: t}
	r := finetune.Run{
		Folder: t.folder.Path(), Task: task, Data: t.data, Network: t.build, Executor: t.executor,
		Export: func(m *onnx.Model) (*onnx.Model, error) { return detect.Deploy(m, detect.DeployConfig{}) },
		Config: t.config, Seeds: t.o.Seeds,
		Begin:  func(one *finetune.Trial) error { t.data.Reseed(one.Seed); return nil },
		Report: show.event,
		Epoch:  func(one *finetune.Trial, dir string) error { return t.drawEpoch(context.WithoutCancel(ctx), one, dir) },
		Finish: func(one *finetune.Trial, dir string) error { t.tellVerified(one); return t.writeReport(ctx, one, dir) },
	}
	if t.found, err = r.Train(ctx); err != nil {
		return nil, t.explain(err)
	}
	return t.finish(ctx)
}

// task is what is learned, and what detections are judged by.
func (t *detectorTraining) task(ctx context.Context) (*train.Task, error) {
	spec, _, err := t.core.Spec()
	if err != nil {
		return nil, err
	}
	truth := map[finetune.Split]*coco.Dataset{}
	for _, s := range []finetune.Split{finetune.Validation, finetune.Test} {
		if t.data.Rows(s) == 0 {
			continue
		}
		if truth[s], err = t.data.Truth(ctx, s, t.learnsMasks()); err != nil {
			return nil, err
		}
	}
	t.pictures = newTrainingPictures(t.Data, t.set, t.data, &spec, truth[finetune.Validation], t.learnsMasks())
	return &train.Task{
		Conventions: t.recipe.Conventions(train.ConventionsOf(spec.Detect)), Canvases: t.data.Canvases(), Metric: t.o.Metric,
		Truth:  func(s finetune.Split) *coco.Dataset { return truth[s] },
		Scored: func(s finetune.Split, found []coco.Detection) { t.scored[s] = found },
	}, nil
}

// drawEpoch writes results.csv and curves.svg to the folder of a training, with the
// epochs so far.
func (t *detectorTraining) drawEpoch(ctx context.Context, one *finetune.Trial, dir string) error {
	if t.curvesOf != one {
		t.curvesOf, t.curves = one, detectCurves{}
	}
	if err := t.curves.update(filepath.Join(dir, finetune.MetricsFile)); err != nil {
		return err
	}
	if err := replaceFile(ctx, filepath.Join(dir, "results.csv"), t.curves.csv); err != nil {
		return err
	}
	return replaceFile(ctx, filepath.Join(dir, "curves.svg"), t.curves.svg)
}

// drawLabels draws what a training that begins is given, and removes the pictures of an
// earlier one.
func (t *detectorTraining) drawLabels(one *finetune.Trial) error {
	dir := filepath.Join(t.folder.Path(), one.Dir)
	if err := t.pictures.clear(dir); err != nil {
		return err
	}
	return t.pictures.labels(context.Background(), dir, one.Seed)
}

// writeReport writes the page of a training that is done.
func (t *detectorTraining) writeReport(ctx context.Context, one *finetune.Trial, dir string) error {
	var found []coco.Detection
	if one.Best != nil && one.Best.N > 0 {
		var err error
		if found, err = t.pictures.readFound(dir); err != nil {
			return err
		}
	}
	return t.pictures.report(ctx, dir, t.pageHead(one), &t.curves, found)
}

// keepBest writes what was found in the validation images with the weights of the best
// epoch so far.
func (t *detectorTraining) keepBest(one *finetune.Trial) error {
	name := filepath.Join(t.folder.Path(), one.Dir, filepath.FromSlash(predictionsOfRun))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	found := t.scored[finetune.Validation]
	return replaceFile(context.Background(), name, func(w io.Writer) error { return coco.WriteResults(w, found) })
}

// tellVerified tells what reading the models of a training back has found.
func (t *detectorTraining) tellVerified(one *finetune.Trial) {
	for _, v := range []struct {
		name string
		*verify.Report
	}{{finetune.BestFile, one.Verify.Best}, {finetune.LastFile, one.Verify.Last}} {
		if v.Report != nil {
			t.note("%s%s verified: %s", seedName(one), filepath.Base(v.name), v.Report)
		}
	}
}

// explain adds a hint to errors of training.
func (t *detectorTraining) explain(err error) error {
	var d *finetune.Diverged
	if errors.As(err, &d) {
		return hinted{err, "a smaller --lr, a longer --warmup, or --clip 1, with another --out or --overwrite"}
	}
	return err
}

// executor makes what computes, and tells once why it is not on the GPU.
func (t *detectorTraining) executor() (finetune.Executor, error) {
	x, err := t.network.executor(t.engine)
	if err != nil {
		return nil, err
	}
	if m, is := x.(*lower.Executor); is && !t.toldDevice {
		t.toldDevice = true
		if device, why := m.Device(); device == "cpu" && t.Device == "auto" && !noGPU(why) {
			t.note("on the CPU: %s%s", why, cudaHint(t.library, why))
		}
	}
	return x, nil
}

// detectorDisplay shows what the trainings of a run report.
type detectorDisplay struct {
	*detectorTraining
	trial *finetune.Trial // that is under way
	steps stepsDisplay
}

// event shows what training reports.
func (d *detectorDisplay) event(one *finetune.Trial, e finetune.Event) error {
	if d.trial != one {
		d.trial, d.steps = one, stepsDisplay{env: d.env, decimals: 1}
		if d.label != nil {
			d.steps.label = d.label(int(one.Seed))
		}
	}
	switch e.Kind {
	case finetune.Started:
		return d.started(e)
	case finetune.Fitted:
		d.note("%d steps fit into %s", e.Plan.Steps, d.recipe.MaxTime)
	case finetune.Stepped:
		d.steps.stepped(e)
	case finetune.Evaluated:
		if e.Score.N > 0 {
			d.note("epoch %d: %s %s", e.Score.Epoch, e.Split, precisionText(&e.Score))
		}
		if e.Score.N > 0 && e.Split == finetune.Validation {
			return d.judged(one, e)
		}
	case finetune.Ended:
		d.steps.end()
	}
	return nil
}

// judged keeps what is found in the validation images after an epoch.
func (d *detectorDisplay) judged(one *finetune.Trial, e finetune.Event) error {
	if e.Best {
		if err := d.keepBest(one); err != nil {
			return err
		}
	}
	if epoch := e.Score.Epoch; epoch > 0 && drawsEpoch(epoch, e.Plan.Epochs) {
		return d.pictures.epoch(context.Background(), filepath.Join(d.folder.Path(), one.Dir), epoch, d.scored[finetune.Validation])
	}
	return nil
}

// started tells the plan, and refuses it where memory is not there.
func (d *detectorDisplay) started(e finetune.Event) error {
	p, n := e.Plan, d.config.BatchSize
	if err := fitsMemory(p, n, 1, "a smaller --size or --min-size, a smaller backbone, or --train-stages 0"); err != nil {
		return err
	}
	d.note("%s%d images to train on, %d to validate on; %d steps of %d, %s; %s parameters; about %s of memory for a step",
		seedName(d.trial), d.data.Len(finetune.Training), p.Validation, p.Steps, n, counted(p.Epochs, "epoch"), countText(p.Parameters), bytesText(p.Memory))
	if p.LeftOut > 0 {
		d.warn("an epoch leaves out its last image: batch norms cannot adapt to a batch of one")
	}
	d.steps.begin()
	if e.Lines > 0 {
		d.note("going on after step %d", e.Step)
		return nil
	}
	return d.drawLabels(d.trial)
}

// seedName tells a training from the run's others, in front of what is said of it.
func seedName(one *finetune.Trial) string {
	if one.Dir == "" {
		return ""
	}
	return fmt.Sprintf("seed %d: ", one.Seed)
}

// precisionText are the average precisions of a score, for people.
func precisionText(s *finetune.Score) string {
	text := fmt.Sprintf("box AP %s, AP50 %s, AP75 %s", percentText(s.Figure("bbox_ap")), percentText(s.Figure("bbox_ap50")), percentText(s.Figure("bbox_ap75")))
	if hasFigure(s, "segm_ap") {
		text += fmt.Sprintf("; mask AP %s, AP50 %s", percentText(s.Figure("segm_ap")), percentText(s.Figure("segm_ap50")))
	}
	return text
}

func hasFigure(s *finetune.Score, name string) bool {
	for _, f := range s.Figures {
		if f.Name == name {
			return true
		}
	}
	return false
}

// percentText is a share in percent, for people.
func percentText(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.1f", 100*v)
}
