package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
)

// contender is a backbone with its probe.
type contender struct {
	entry
	name        string
	skipped     int     // images
	parameters  int64   // of the model
	speed       float64 // images per second, from file to features; 0: not known
	probe       *probeResult
	predictions *probe.Predictions
	grouped     bool // the samples are in groups
	judgedBy    *seen.Record
	spec        onnx.Spec
}

func (k *comparing) featuresOf(name string) string { return filepath.Join(k.Out, "features", name) }
func (k *comparing) probeOf(name string) string    { return filepath.Join(k.Out, "probes", name) }

// contend featurizes and probes with one model.
func (k *comparing) contend(ctx context.Context, e entry, name string) (*contender, error) {
	one := &contender{entry: e, name: name}
	if err := k.part(ctx, func(e *env) error { return one.featurize(ctx, e, k) }); err != nil {
		return nil, err
	}
	if err := k.part(ctx, func(e *env) error { return one.train(ctx, e, k) }); err != nil {
		return nil, err
	}
	if err := one.read(filepath.Join(k.probeOf(name), "predictions.csv")); err != nil {
		return nil, err
	}
	if len(k.found) > 0 && !slices.Equal(one.predictions.Names, k.found[0].predictions.Names) {
		return nil, fmt.Errorf("%d samples can be judged, and not the same as the %d of %s: %w", len(one.predictions.Names), len(k.found[0].predictions.Names), k.found[0].model, featurize.ErrData)
	}
	run, err := readRun(k.featuresOf(name))
	if err != nil || run == nil {
		return nil, errors.Join(err, errors.New("the features have no run.json"))
	}
	one.spec, one.speed = run.ResolvedSpec, run.ImagesPerSecond
	return one, nil
}

// part does what is another verb's with an env of its own: that is silent but for
// progress, where that is asked for or a part takes long, and its warnings become those of the comparison,
// each once, unless it fails.
func (k *comparing) part(ctx context.Context, do func(e *env) error) error {
	if err := context.Cause(ctx); err != nil { // a signal between two parts
		return err
	}
	e := &env{stdout: io.Discard, stderr: io.Discard, json: true, progress: "none", start: time.Now(), warnings: []string{}}
	if k.progress != "none" && (k.progress != "auto" || k.showsParts) {
		e.progress, e.stderr = k.progress, k.stderr
	}
	err := guarded(func() error { return do(e) })
	if errors.Is(err, context.Canceled) {
		err = context.Cause(ctx)
	}
	if err == nil || errors.As(err, new(partial)) {
		for _, w := range e.warnings {
			if !slices.Contains(k.warnings, w) {
				k.warn("%s", w)
			}
		}
	}
	return err
}

func (one *contender) featurize(ctx context.Context, e *env, k *comparing) error {
	o := defaultFeatures
	o.Model, o.Out, o.BN, o.Library, o.Overwrite = one.model, k.featuresOf(one.name), k.BN, k.Library, k.Overwrite
	o.dataOptions, o.runOptions, o.skipOptions, o.specOptions = k.dataOptions, k.runOptions, k.skipOptions, k.specOptions
	o.inputOptions = one.input
	if err := o.check(); err != nil {
		return err
	}
	f, err := e.extractFeatures(ctx, o, nil, "")
	if err == nil {
		one.skipped = f.summary.Skipped
		one.parameters, _ = f.model.Parameters()
	}
	return err
}

func (one *contender) train(ctx context.Context, e *env, k *comparing) error {
	p, err := e.trainProbe(ctx, probeOptions{
		Data: k.featuresOf(one.name), Out: k.probeOf(one.name), trainingOptions: k.trainingOptions,
		Threads: k.Threads, Library: k.Library, Overwrite: k.Overwrite,
	})
	if err == nil {
		one.probe, one.grouped, one.judgedBy = p.result, p.data.Groups != nil, p.plan.JudgedBy()
	}
	return err
}

// read takes in the predictions of a probe.
func (one *contender) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if one.predictions, err = probe.ReadPredictions(f); err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	return nil
}

// attachBest makes the classifier of a backbone. It has the batch norms that the
// features are of.
func (k *comparing) attachBest(ctx context.Context, best *contender) error {
	run, err := readRun(k.featuresOf(best.name))
	if err != nil {
		return err
	}
	o := attachOptions{Model: best.model, Probe: k.probeOf(best.name), Features: k.featuresOf(best.name), Threads: k.Threads, Library: k.Library, Overwrite: true}
	if run.Config.Statistics != "" {
		o.Model = filepath.Join(o.Probe, "adapted.onnx")
		defer os.Remove(o.Model)
		if err := k.part(ctx, func(e *env) error { return best.adapt(ctx, e, k, o.Model) }); err != nil {
			return err
		}
	}
	return k.part(ctx, func(e *env) error { return e.attach(ctx, o, run) })
}

// adapt writes the model with the batch norms of the images.
func (one *contender) adapt(ctx context.Context, e *env, k *comparing, out string) error {
	o := adaptOptions{networkOptions: k.network(one.entry), Out: out, Overwrite: true}
	o.BatchSize, o.Precision, o.Engine = adaptBatch, "", "auto"
	if err := o.check(); err != nil {
		return err
	}
	_, err := e.adaptModel(ctx, o)
	return err
}
