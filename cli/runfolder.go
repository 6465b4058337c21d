package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/onnx"
)

// The files of a run, in its folder; those of several trainings lie in one
// folder each.
const (
	checkedFile = "state/check.json"
	outcomeFile = "state/outcome.json"
	stateFile   = "state/state.safetensors"
	metricsFile = "metrics.jsonl"
	bestFile    = "weights/best.onnx"
	lastFile    = "weights/last.onnx"
)

// runLayout is that of a run. The folders of its trainings hold the same files and
// no run.json.
var runLayout = output.Layout{
	Kind: "run", State: "state",
	Files: []string{"args.yaml", metricsFile, bestFile, lastFile, "results.csv", "curves.svg", output.RunFile},
	Parts: []string{"seed-*", "lr-*", "seed-*/lr-*"},
}

// replaceFile gives a file new contents, or leaves the old ones.
func replaceFile(name string, data []byte) error {
	return output.WriteFile(context.Background(), name, func(w io.Writer) error { _, err := w.Write(data); return err })
}

// knownCheck is what an earlier command found in the images, nil where nothing
// is known.
func knownCheck(dir string) *augment.Check {
	var c augment.Check
	data, err := os.ReadFile(filepath.Join(dir, checkedFile))
	if err != nil || json.Unmarshal(data, &c) != nil {
		return nil
	}
	return &c
}

// outcome is what a training came to.
type outcome struct {
	Stop    finetune.Stop   `json:"stop"`
	Steps   int             `json:"steps"`
	Seconds float64         `json:"seconds"`
	Best    *finetune.Score `json:"best"`
	Last    *finetune.Score `json:"last"`
	Test    *finetune.Score `json:"test"`
	Plan    finetune.Plan   `json:"plan"`
	Verify  verifiedWeights `json:"verify"`
}

// verifiedWeights are the independent readings of a training's models; best is
// nil where there is none.
type verifiedWeights struct {
	Best *verification `json:"best"`
	Last *verification `json:"last"`
}

func outcomeOf(r *finetune.Result) outcome {
	return outcome{Stop: r.Stop, Steps: r.Steps, Seconds: r.Elapsed.Seconds(), Best: r.Best, Last: r.Last, Test: r.Test, Plan: r.Plan}
}

// result is the outcome as Train's, without models.
func (o *outcome) result() *finetune.Result {
	return &finetune.Result{Stop: o.Stop, Steps: o.Steps, Best: o.Best, Last: o.Last, Test: o.Test, Plan: o.Plan}
}

// trialWriter puts the files of one training into its folder.
type trialWriter struct {
	*tuning
	dir      string
	called   string // what tells the training from the run's others
	metrics  *os.File
	bar      *progress
	features *progress // of those that are computed once
	told     bool      // the time that is left
}

// path is a file of the training.
func (w *trialWriter) path(name string) string { return filepath.Join(w.dir, name) }

func (t *tuning) trialWriter(one *trial) (*trialWriter, error) {
	w := &trialWriter{tuning: t, dir: t.folder.Path(one.Dir)}
	if one.Dir != "" {
		w.called = fmt.Sprintf("seed %d, learning rate %g: ", one.Seed, one.Rate)
	}
	for _, dir := range []string{"state", "weights"} {
		if err := os.MkdirAll(w.path(dir), 0o777); err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
	}
	return w, nil
}

// done reads the outcome of a training that has ended, nil where it has not.
func (w *trialWriter) done() (*outcome, error) {
	data, err := os.ReadFile(w.path(outcomeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var o outcome
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return nil, fmt.Errorf("output: %q: %w", w.path(outcomeFile), err)
	}
	return &o, nil
}

// event keeps what training reports, and shows it.
func (w *trialWriter) event(e finetune.Event) error {
	switch e.Kind {
	case finetune.Started:
		return w.started(e)
	case finetune.Cached:
		w.cached(e.Rows)
	case finetune.Fitted:
		w.note("%d steps fit into %s", e.Plan.Steps, w.recipe.MaxTime)
	case finetune.Stepped:
		return w.stepped(e)
	case finetune.Evaluated:
		return w.evaluated(e)
	case finetune.Ended:
		if w.bar != nil {
			w.bar.end()
		}
		if e.Stop == finetune.Canceled {
			return nil
		}
		return w.line(object{{"event", "end"}, {"stop", e.Stop}, {"step", e.Step}})
	}
	return nil
}

// started tells the plan, refuses it where memory is not there, and cuts the
// metrics back to the checkpoint.
func (w *trialWriter) started(e finetune.Event) error {
	p := e.Plan
	if err := w.fits(p); err != nil {
		return err
	}
	w.note("%s%d images to train on, %d to validate on; %d steps of %d, %d epochs; %s parameters; about %s of memory for a step",
		w.called, p.Rows, p.Validation, p.Steps, w.recipe.BatchSize, p.Epochs, countText(p.Parameters), bytesText(p.Memory))
	if p.LeftOut > 0 {
		w.warn("an epoch leaves out its last image: batch norms cannot adapt to a batch of one")
	}
	w.bar = newProgress(w.env)
	w.bar.noun = "steps"
	old, err := os.ReadFile(w.path(metricsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("output: %w", err)
	}
	keep := 0
	for range e.Lines {
		n := bytes.IndexByte(old[keep:], '\n')
		if n < 0 {
			break
		}
		keep += n + 1
	}
	if w.metrics, err = os.OpenFile(w.path(metricsFile), os.O_CREATE|os.O_WRONLY, 0o666); err == nil {
		if err = w.metrics.Truncate(int64(keep)); err == nil {
			_, err = w.metrics.Seek(0, io.SeekEnd)
		}
	}
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if e.Lines > 0 {
		w.note("going on after step %d", e.Step)
		return nil
	}
	return w.line(object{{"event", "start"}, {"steps", p.Steps}, {"epochs", p.Epochs}, {"steps_per_epoch", p.Epoch}, {"rows", p.Rows}, {"validation", p.Validation}, {"parameters", p.Parameters}})
}

func (w *trialWriter) line(o object) error {
	text, err := o.MarshalJSON()
	if err == nil {
		_, err = w.metrics.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

func (w *trialWriter) stepped(e finetune.Event) error {
	if !w.told && e.Left > 0 {
		w.told = true
		w.note("about %s to go", roundTime(e.Left))
	}
	w.bar.about = fmt.Sprintf("epoch %d, loss %.4f, %.0f images/s", e.Epoch, e.Loss, e.ImagesPerSecond)
	w.bar.figures = object{{"epoch", e.Epoch}, {"loss", e.Loss}, {"lr", e.LearningRate}, {"images_per_second", e.ImagesPerSecond}}
	w.bar.update(e.Step, max(e.Plan.Steps, e.Step))
	return w.line(object{{"event", "step"}, {"step", e.Step}, {"epoch", e.Epoch}, {"loss", e.Loss}, {"lr", e.LearningRate}})
}

func (w *trialWriter) evaluated(e finetune.Event) error {
	s := e.Score
	top1, perClass := s.Figure(classify.Top1), s.Figure(classify.MeanPerClass)
	if e.Best && e.Model != nil && e.Split == finetune.Validation {
		m, err := e.Model()
		if err == nil {
			err = w.save(m, bestFile)
		}
		if err != nil {
			return err
		}
	}
	if s.N > 0 {
		w.note("epoch %d: %s loss %.4f, top-1 %.2f %%, mean per class %.2f %%", s.Epoch, e.Split, s.Loss, 100*top1, 100*perClass)
	}
	return w.line(object{{"event", "eval"}, {"epoch", s.Epoch}, {"split", e.Split.String()}, {"n", s.N}, {"loss", s.Loss}, {"top1", top1},
		{"mean_per_class", perClass}, {"train_loss", s.TrainLoss}})
}

// cached shows how many features of all are computed.
func (w *trialWriter) cached(done int) {
	total := 0
	for _, s := range []augment.Split{augment.Training, augment.Validation, augment.Test} {
		total += w.data.Rows(s)
	}
	if w.features == nil {
		w.note("features of %d images are computed once: nothing in front of the head changes", total)
		w.features = newProgress(w.env)
	}
	if w.features.update(done, total); done == total {
		w.features.end()
	}
}

// save writes weights as a model of rtx, with where they come from.
func (w *trialWriter) save(m *onnx.Model, name string) error {
	return writeFile(w.c.Context, w.path(name), m.Write)
}

func (w *trialWriter) close() error {
	if w.metrics == nil {
		return nil
	}
	return w.metrics.Close()
}

// saveAll writes the models of a training that has ended, and has what was
// written read independently. That takes less than a tenth of the time and
// memory of training (go run ./cli/bench -only verify), so it is always done.
func (w *trialWriter) saveAll(r *finetune.Result) (v verifiedWeights, err error) {
	save := func(m *onnx.Model, name string) (*verification, error) {
		if err := w.save(m, name); err != nil {
			return nil, err
		}
		v, err := verifyModel(w.c.Context, w.path(name), m)
		if err == nil {
			w.note("%s%s verified: %s", w.called, filepath.Base(name), v)
		}
		return v, err
	}
	if r.BestModel != nil {
		if v.Best, err = save(r.BestModel, bestFile); err != nil {
			return v, err
		}
	}
	v.Last, err = save(r.LastModel, lastFile)
	return v, err
}

// finish writes the files of a training that has ended; the outcome comes last.
func (w *trialWriter) finish(one *trial, r *finetune.Result) error {
	var err error
	if one.Verify, err = w.saveAll(r); err != nil {
		return err
	}
	curves, err := readCurves(w.path(metricsFile))
	if err != nil {
		return err
	}
	if err := writeFiles(w.c.Context, w.dir, []file{{"results.csv", curves.csv}, {"curves.svg", curves.svg}}); err != nil {
		return err
	}
	text, err := json.Marshal(one.outcome)
	if err != nil {
		return err
	}
	if err := replaceFile(w.path(outcomeFile), text); err != nil {
		return err
	}
	return removeFiles(w.dir, stateFile)
}
