package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// attachOptions say which probe becomes the head of which model.
type attachOptions struct {
	Model     string // that made the features
	Probe     string // the folder with head.onnx, which gets classifier.onnx
	Features  string // the folder of the features
	Overwrite bool   // replace another classifier.onnx
	Threads   int
	Library   string
}

// attach writes the model with the head of a probe as classifier.onnx; run tells
// what the features are of.
func (e *env) attach(ctx context.Context, o attachOptions, run *featurize.Provenance) error {
	trained, err := onnx.Load(filepath.Join(o.Probe, "head.onnx"))
	if err != nil {
		return err
	}
	head, err := onnx.LinearOf(trained)
	if err != nil {
		return err
	}
	by, err := seenBy(trained)
	if err != nil {
		return err
	}
	m, err := e.openModel(o.Model)
	if err != nil {
		return err
	}
	sum, err := m.SHA256()
	if err != nil {
		return err
	}
	if run == nil || run.Config.Layer == "" {
		return &usageError{msg: fmt.Sprintf("--attach: %q has no run.json, which would say what the features are of", o.Features), hint: "rtx featurize makes feature sets"}
	}
	if err := madeBy(m, o.Model, sum, run); err != nil {
		return err
	}
	if run.Config.PreResize != 0 {
		e.warn("classifier.onnx says nothing of --pre-resize %d, which the features had", run.Config.PreResize)
	}
	if run.Config.ExifRotate {
		e.warn("classifier.onnx says nothing of --exif-rotate, which the features had")
	}
	if m, err = m.WithSpec(run.ResolvedSpec); err != nil {
		return err
	}
	if m, err = ranked(ctx, m, run, o); err != nil {
		return err
	}
	if m.Rank(run.Config.Layer) == 4 && run.Config.Pool == "none" {
		return &usageError{msg: fmt.Sprintf("--attach: the features of %q are whole maps", o.Features), hint: "classifier.onnx is for features [N,D], or [N,C,H,W] under --pool avg"}
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
	if m, err = withSeen(m, by); err != nil {
		return err
	}
	if m, err = m.Normalize(); err != nil {
		return err
	}
	to := target{"out", filepath.Join(o.Probe, "classifier.onnx"), o.Overwrite, append(m.Files(), o.Model)}
	use, err := newScript("out", filepath.Join(o.Probe, useFile), m, to)
	if err != nil {
		return err
	}
	if !to.holds(m.Write) {
		if err := to.write(ctx, m.Write); err != nil {
			return err
		}
	}
	if err := use.write(ctx); err != nil {
		return err
	}
	use.tell(e)
	return nil
}

// madeBy refuses a model that the features are not of: another one, or one whose
// batch norms have other statistics. The model that rtx adapt made of theirs, with
// the statistics that they were computed with, is as good.
func madeBy(m *onnx.Model, name, sum string, run *featurize.Provenance) error {
	statistics, original := run.Config.Statistics, run.Model.SHA256
	if own := m.Metadata(finetune.StatisticsKey); own != "" && own == statistics {
		if spec, _, err := m.Spec(); err == nil && slices.Contains(spec.Parents, original) {
			return nil
		}
	}
	if statistics != "" {
		return &usageError{msg: fmt.Sprintf("--attach %q: the features are of --bn adapt, and the model's batch norms have other statistics", name), hint: "rtx adapt of the same model and images makes the model to name"}
	}
	if original != sum {
		return &usageError{msg: fmt.Sprintf("--attach %q: the features are of another model, %q", name, run.Model.File), hint: "name the model that rtx featurize was given"}
	}
	return nil
}

// ranked is the model with the dimensions of the features' layer declared: where
// its file does not say them, onnxruntime does.
func ranked(ctx context.Context, m *onnx.Model, run *featurize.Provenance, o attachOptions) (*onnx.Model, error) {
	if m.Rank(run.Config.Layer) >= 0 {
		return m, nil
	}
	library, err := runtime.Find(o.Library)
	if err != nil {
		return nil, err
	}
	return runtime.DeclareRank(ctx, m, run.ResolvedSpec, run.Config.Layer, runtime.Options{Library: library, Threads: o.Threads})
}
