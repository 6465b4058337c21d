package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
)

// Files in a run's folder that keep the probe for a run that is continued.
const (
	probeHeadFile = "state/probe.onnx"
	probeFile     = "state/probe.json"
)

// probed is the linear probe of the network before training.
type probed struct {
	Train  int             `json:"train"`  // images that it was fitted to
	Lambda float64         `json:"lambda"` // the penalty that was chosen
	Val    *finetune.Score `json:"val"`
	Test   *finetune.Score `json:"test"`
	Failed string          `json:"failed,omitempty"` // why there is none
	head   onnx.Linear
}

// object is what rtx.finetune/1 says of it.
func (p *probed) object() any {
	if p == nil || p.Failed != "" {
		return nil
	}
	return object{{"train", p.Train}, {"lambda", p.Lambda}, {"val", scoreObject(p.Val)}, {"test", scoreObject(p.Test)}}
}

// resolveHead settles what head "auto" is, which depends on the recipe and on how many
// images there are.
func (t *finetuning) resolveHead() {
	if t.head = t.o.Head; t.head != "auto" {
		return
	}
	t.head = "new"
	if t.recipe.ProbeHead && t.o.HeadInit == "" && t.probeable() {
		t.head = "probe"
	}
}

// probeable reports whether a linear probe takes little and can be fitted: there
// are training images of each class.
func (t *finetuning) probeable() bool {
	n := t.data.Rows(augment.Training)
	if n > finetune.SmallData {
		return false
	}
	of := make([]int, len(t.data.Classes()))
	for row := range n {
		of[t.data.Sample(augment.Training, row).Label]++
	}
	for _, n := range of {
		if n == 0 {
			return false
		}
	}
	return true
}

// fitProbe fits a linear probe, or reads it from the folder of a run that is
// continued, and returns how long that took. Where the head is not the probe's, it
// serves as a comparison, and is left out where it takes long or cannot be fitted.
func (t *finetuning) fitProbe(ctx context.Context) (time.Duration, error) {
	needed := t.head == "probe"
	if !needed && (!t.probeable() || t.recipe.MaxTime > 0) {
		return 0, nil
	}
	if p := readProbe(t.out); p != nil {
		t.probe = p
		return 0, nil
	}
	began := time.Now()
	p, err := t.newProbe(ctx)
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil && !needed:
		p = &probed{Failed: err.Error()}
	case err != nil && t.o.Head == "auto" && (errors.Is(err, probe.ErrData) || errors.Is(err, finetune.ErrFeatures)):
		p = &probed{Failed: err.Error()}
		t.warn("the head is a new one, since there is no linear probe to start from: %v", err)
	case err != nil:
		return 0, hinted{err, "--head new does without a linear probe"}
	}
	t.probe = p
	t.tellProbe()
	return time.Since(began), t.keepProbe(ctx)
}

// startsFromProbe reports whether the head that training starts from is the probe's.
func (t *finetuning) startsFromProbe() bool {
	return t.head == "probe" && t.probe != nil && t.probe.Failed == ""
}

// newProbe fits a linear probe to the model's features.
func (t *finetuning) newProbe(ctx context.Context) (*probed, error) {
	value, width, err := t.features()
	if err != nil {
		return nil, err
	}
	classes := t.data.Classes()
	m, err := t.model.Attach(value, onnx.ZeroLinear(width, len(classes)))
	if err != nil {
		return nil, err
	}
	net, err := readGraph(m)
	if err != nil {
		return nil, err
	}
	x, err := t.executor()
	if err != nil {
		return nil, err
	}
	defer x.Close()
	total := 0
	for _, s := range []augment.Split{augment.Training, augment.Validation, augment.Test} {
		total += t.data.Rows(s)
	}
	t.note("features of %d images, for a linear probe", total)
	bar := newProgress(t.env)
	found, err := classify.FitProbe(ctx, net, x, t.data, classes, classify.ProbeConfig{
		FeatureConfig: finetune.FeatureConfig{BatchSize: t.recipe.BatchSize, Report: func(done int) { bar.update(done, total) }},
		Probe:         probe.Config{Seed: uint64(t.o.Seed)},
	})
	bar.end()
	if err != nil {
		return nil, err
	}
	return &probed{Train: found.Train, Lambda: found.Setting.Lambda, Val: found.Validation, Test: found.Test, head: found.Head}, nil
}

// tellProbe tells how good the probe is on the validation images.
func (t *finetuning) tellProbe() {
	p := t.probe
	if p.Failed != "" {
		return
	}
	figures := "no images to validate it on"
	if p.Val != nil {
		figures = fmt.Sprintf("val top-1 %.2f %%, mean per class %.2f %%", 100*p.Val.Figure(classify.Top1), 100*p.Val.Figure(classify.MeanPerClass))
	}
	use := "to compare with"
	if t.head == "probe" {
		use = "the head starts from it"
	}
	t.note("linear probe of the network as it is: %s; %s", figures, use)
}

// keepProbe writes the probe to the run's folder, its figures last.
func (t *finetuning) keepProbe(ctx context.Context) error {
	if t.probe.Failed == "" {
		m, err := onnx.NewLinear(t.probe.head)
		if err != nil {
			return err
		}
		if err := replaceFile(ctx, filepath.Join(t.out, probeHeadFile), m.Write); err != nil {
			return err
		}
	}
	text, err := json.Marshal(t.probe)
	if err != nil {
		return err
	}
	return replaceFile(ctx, filepath.Join(t.out, probeFile), output.Bytes(text))
}

// readProbe reads the probe of a run that is continued; nil where there is none.
func readProbe(dir string) *probed {
	p := &probed{}
	text, err := os.ReadFile(filepath.Join(dir, probeFile))
	if err != nil || json.Unmarshal(text, p) != nil {
		return nil
	}
	if p.Failed == "" {
		if p.head, err = onnx.LoadLinear(filepath.Join(dir, probeHeadFile)); err != nil {
			return nil
		}
	}
	return p
}

// compareProbe says where the probe is as good as what training has found.
func (t *finetuning) compareProbe(f *finetuneResult) {
	p := f.Probe
	if p == nil || p.Failed != "" || t.task.Adversary != nil { // which gives up accuracy on images that are not attacked
		return
	}
	name, got, figure, probed := "top-1", f.Top1, classify.Top1, p.Val
	if t.task.MeanPerClass {
		name, got, figure = "mean per class", f.PerClass, classify.MeanPerClass
	}
	switch f.Protocol {
	case "test":
		probed = p.Test
	case "train":
		return
	}
	if probed != nil && probed.Figure(figure) > float64(got) {
		t.warn("the linear probe of the network as it was is better than the fine-tuned one: %s %s %.2f %% against %.2f %%", f.Protocol, name, 100*probed.Figure(figure), 100*got)
	}
	if first := f.Seeds[0]; t.head == "probe" && first.Best != nil && first.Best.Epoch == 0 {
		t.note("no epoch was better on the %d validation images, by more than a standard error, than the linear probe that training started from: best.onnx is the network as it was with the probe's head, last.onnx that of the last epoch", first.Best.N)
	}
}
