package cli

import (
	"context"
	"errors"
	"strconv"

	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// predictionsOfRun are the detections of the best epoch in the validation images.
const predictionsOfRun = "val/predictions.json"

// detectRunLayout is that of a run.
var detectRunLayout = finetune.RunLayout("args.yaml", featurize.ImagesFile, "results.csv", "curves.svg", labelsFile, predictionsOfRun, precisionDrawing, trainingPage, useFile)

// resolve settles what is left to its default, which depends on the number of images.
func (t *detectorTraining) resolve() error {
	rows := t.data.Rows(finetune.Training)
	if err := t.settings(rows); err != nil {
		return err
	}
	spec, _, err := t.core.Spec()
	if err != nil {
		return err
	}
	c := t.recipe.Config
	c.Seed, c.Rules.Mode = uint64(t.o.Seed), modeOf(t.o.TrainStages, len(spec.Stages))
	if t.config, err = c.Resolved(rows); err != nil {
		return err
	}
	t.tellRecipe()
	t.onDevice = "cpu"
	if t.engine == "ort" {
		if t.onDevice, _, err = runtime.Choose(t.executorOptions()); err != nil {
			return err
		}
	}
	t.args, err = recordedOptions(t.resolvedOptions())
	return err
}

// resolvedOptions are the options with the values of those that were left to their
// defaults: with them the command trains the same again.
func (t *detectorTraining) resolvedOptions() *detectTrainOptions {
	o, c := t.o, t.config
	o.Kind, o.BatchSize, o.Patience = t.kind, c.BatchSize, c.Patience
	if c.Steps == 0 {
		o.Epochs = c.Epochs
	}
	o.Optimizer = optimizerSettingsOf(c.Optimizer).Name
	o.LR = strconv.FormatFloat(c.LearningRate, 'g', -1, 64)
	o.Engine, o.Device, o.Threads = t.engine, t.onDevice, cores(t.Threads)
	return &o
}

// detectSettings are what the weights of a run depend on, with the values of what was
// left to its default.
type detectSettings struct {
	Model        string            `json:"model"` // SHA-256
	Data         string            `json:"data"`
	Kind         string            `json:"kind"`
	Masks        bool              `json:"masks"`
	Heads        *headSettings     `json:"heads"` // null: those of the model are kept
	Conventions  train.Conventions `json:"conventions"`
	MinSizes     []int             `json:"min_sizes"`
	MaxSize      int               `json:"max_size,string"`
	TrainStages  string            `json:"train_stages"`
	BatchNorms   string            `json:"bn"`
	Epochs       int               `json:"epochs,string"`
	Steps        int               `json:"steps,string"` // 0: whole epochs
	BatchSize    int               `json:"batch_size,string"`
	LearningRate float64           `json:"lr,string"`
	Optimizer    optimizerSettings `json:"optimizer"`
	Rules        ruleSettings      `json:"rules"`
	Schedule     scheduleSettings  `json:"schedule"`
	Clip         float64           `json:"clip,string"`
	EMA          float64           `json:"ema,string"`
	Patience     int               `json:"patience,string"`
	Metric       string            `json:"metric"`
	MaxTime      string            `json:"max_time"`
	ValFraction  string            `json:"val_fraction"`
	Empty        string            `json:"empty"`
	Flip         bool              `json:"flip"`
	Seed         int               `json:"seed,string"`
	Seeds        int               `json:"seeds,string"`
	Engine       string            `json:"engine"`
	Device       string            `json:"device"`
	Threads      int               `json:"threads,string"`
	Library      string            `json:"onnxruntime,omitempty"` // its version, where it computes
	Input        string            `json:"input"`                 // flags that change what the backbone is fed
}

// headSettings are those of new heads.
type headSettings struct {
	Conventions string  `json:"conventions"`
	Channels    int     `json:"channels,string"` // 0: the usual number
	Hidden      int     `json:"hidden,string"`
	AnchorScale float64 `json:"anchor_scale,string"`
}

// runSettings are those of the command.
func (t *detectorTraining) runSettings() (detectSettings, error) {
	c, o, r := t.config, t.o, t.recipe
	spec, _, err := t.core.Spec()
	if err != nil {
		return detectSettings{}, err
	}
	s := detectSettings{
		Model: t.base, Data: t.identity, Kind: t.kind, Masks: t.learnsMasks(), Conventions: r.Conventions(train.ConventionsOf(spec.Detect)),
		MinSizes: r.MinSizes, MaxSize: r.Detector.MaxSize, TrainStages: c.Rules.Mode.String(), BatchNorms: o.BN,
		Epochs: c.Epochs, Steps: c.Steps, BatchSize: c.BatchSize, LearningRate: c.LearningRate, Optimizer: optimizerSettingsOf(c.Optimizer),
		Rules: ruleSettings{max(c.Rules.WeightDecay, 0), c.Rules.NoNormDecay, c.Rules.LayerDecay}, Schedule: scheduleSettingsOf(c.Schedule),
		Clip: c.Clip, EMA: c.EMA, Patience: c.Patience, Metric: o.Metric, MaxTime: "none", ValFraction: strconv.FormatFloat(t.heldOut, 'g', -1, 64), Empty: o.Empty, Flip: !o.NoFlip,
		Seed: o.Seed, Seeds: o.Seeds, Engine: t.engine, Device: t.onDevice, Threads: cores(t.Threads), Input: t.pixelText(),
	}
	if t.given == nil {
		s.Heads = &headSettings{spec.Detect.Conventions, r.Detector.Channels, r.Detector.Hidden, r.AnchorScale}
	}
	if c.MaxTime > 0 {
		s.MaxTime = c.MaxTime.String()
	}
	if t.engine == "ort" {
		s.Library = t.library.Version
	}
	return s, nil
}

// begun opens the run's folder and returns what is there already of this command, nil
// where there is something to do.
func (t *detectorTraining) begun(ctx context.Context) (*detectResult, error) {
	settings, err := t.runSettings()
	if err != nil {
		return nil, err
	}
	if t.folder, err = output.Open(t.o.Out, detectRunLayout); err != nil {
		return nil, err
	}
	t.folder.Keep(append(t.model.Files(), t.Data, t.Root, t.env.config)...)
	var found *detectResult
	if err = t.folder.Begin(settings, t.o.Overwrite); err == nil && t.folder.Done() {
		found, err = readDetectResult(t.o.Out)
	}
	if found == nil && err == nil {
		err = t.record(ctx)
	}
	if err != nil {
		t.folder.Close()
		return nil, err
	}
	return found, nil
}

// record writes what a run begins with: the images and the arguments.
func (t *detectorTraining) record(ctx context.Context) error {
	if err := t.data.ReadSums(ctx); err != nil {
		return err
	}
	images, err := t.imageLines()
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	return errors.Join(
		t.folder.Write(ctx, output.Content{Name: featurize.ImagesFile, Write: output.Bytes(images)}),
		t.folder.Write(ctx, output.Content{Name: "args.yaml", Write: output.Bytes(t.args)}),
	)
}

// modeOf says which stages are trained: the last k of so many.
func modeOf(k, stages int) finetune.Mode {
	switch {
	case k == 0:
		return finetune.Mode{Fixed: true}
	case k >= stages:
		return finetune.Mode{}
	}
	return finetune.Mode{Last: k}
}

// chooseEngine finds what computes.
func (t *detectorTraining) chooseEngine(context.Context) error {
	net, err := t.build(uint64(t.o.Seed)) // what cannot be trained is told before images are read
	if err != nil {
		return err
	}
	if n := statistics(net); n > 0 && t.recipe.Frozen {
		t.warn("the statistics of the %d batch norms in the pyramid and the heads of %s stay as they are; torchvision adapts them to each batch in training", n, t.Model)
	}
	if t.engine, err = t.findEngine("training"); err != nil {
		return err
	}
	const many = 2e6 // parameters, with which a step takes minutes
	if n := parameters(net); t.engine == "tape" && n > many {
		t.warn("with --engine tape a step of a detector of %s parameters takes minutes; onnxruntime is many times faster", countText(n))
	}
	return nil
}

// parameters is the number of weights of a network.
func parameters(net *graph.Network) (n int) {
	for _, p := range net.Params() {
		n += p.Shape.Size()
	}
	return n
}

// statistics counts the batch norms behind the backbone.
func statistics(net *graph.Network) (n int) {
	for _, p := range net.Params() {
		if p.Head && p.Kind == graph.Mean {
			n++
		}
	}
	return n
}
