package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// runSettings are what the weights of a run depend on, with the values of what was left
// to its default.
type runSettings struct {
	Model          string             `json:"model"` // SHA-256
	Data           string             `json:"data"`
	Classes        string             `json:"classes,omitempty"` // their order, where it is not that of text
	Mode           string             `json:"mode"`
	BatchNorms     string             `json:"bn"`
	Head           string             `json:"head"`
	HeadInit       string             `json:"head_init"`
	Epochs         int                `json:"epochs,string"`
	BatchSize      int                `json:"batch_size,string"`
	LearningRates  []float64          `json:"lr"`
	Optimizer      optimizerSettings  `json:"optimizer"`
	Rules          ruleSettings       `json:"rules"`
	Schedule       scheduleSettings   `json:"schedule"`
	Warmup         float64            `json:"warmup,string"`
	Clip           float64            `json:"clip,string"`
	EMA            float64            `json:"ema,string"`
	LabelSmoothing float64            `json:"label_smoothing,string"`
	Adversary      *adversarySettings `json:"adversarial,omitempty"`
	Mixup          float64            `json:"mixup,string"`
	Augment        augmentSettings    `json:"augment"`
	Patience       int                `json:"patience,string"`
	Metric         string             `json:"metric"`
	MaxTime        string             `json:"max_time"`
	ValFraction    string             `json:"val_fraction"`
	Seed           int                `json:"seed,string"`
	Seeds          int                `json:"seeds,string"`
	Engine         string             `json:"engine"`
	Device         string             `json:"device"`
	Threads        int                `json:"threads,string"`
	Library        string             `json:"onnxruntime,omitempty"` // its version, where it computes
	featurize.Preparation
}

type optimizerSettings struct {
	Name     string  `json:"name"`
	Momentum float64 `json:"momentum,omitempty"`
	Nesterov bool    `json:"nesterov,omitempty"`
	Beta1    float64 `json:"beta1,omitempty"`
	Beta2    float64 `json:"beta2,omitempty"`
	Eps      float64 `json:"eps,omitempty"`
}

func optimizerSettingsOf(o graph.Optimizer) optimizerSettings {
	switch o := o.(type) {
	case graph.SGD:
		return optimizerSettings{Name: "sgd", Momentum: o.Momentum, Nesterov: o.Nesterov}
	case graph.AdamW:
		return optimizerSettings{Name: "adamw", Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps}
	}
	panic(fmt.Sprintf("cli: an optimizer of type %T has no settings", o))
}

type ruleSettings struct {
	WeightDecay float64 `json:"weight_decay"`
	NoDecayNorm bool    `json:"no_decay_norm"`
	LayerDecay  float64 `json:"layer_decay"`
}

type scheduleSettings struct {
	Name     string  `json:"name"`
	StepSize int     `json:"step_size,omitempty"`
	Gamma    float64 `json:"gamma,omitempty"`
	Rise     float64 `json:"rise,omitempty"` // of onecycle
	Start    float64 `json:"start,omitempty"`
	Final    float64 `json:"final,omitempty"`

	At        string  `json:"at,omitempty"` // of multistep: shares of the training
	Ramp      int     `json:"ramp,omitempty"`
	RampStart float64 `json:"ramp_start,omitempty"`
}

func scheduleSettingsOf(s finetune.Schedule) scheduleSettings {
	switch s := s.(type) {
	case nil, finetune.Cosine:
		return scheduleSettings{Name: "cosine"}
	case finetune.Constant:
		return scheduleSettings{Name: "constant"}
	case finetune.OneCycle:
		return scheduleSettings{Name: "onecycle", Rise: s.Rise, Start: s.Start, Final: s.Final}
	case finetune.StepDecay:
		return scheduleSettings{Name: "step", StepSize: s.Every, Gamma: s.Gamma}
	case finetune.MultiStep:
		return scheduleSettings{Name: "multistep", At: fmt.Sprint(s.At), Gamma: s.Gamma}
	case finetune.Ramp:
		of := scheduleSettingsOf(s.Then)
		of.Ramp, of.RampStart = s.Steps, s.Start
		return of
	}
	panic(fmt.Sprintf("cli: a schedule of type %T has no settings", s))
}

type augmentSettings struct {
	Crop    string     `json:"crop"` // resized, padded or none
	Scale   [2]float64 `json:"scale,omitzero"`
	Ratio   [2]float64 `json:"ratio,omitzero"`
	Padding int        `json:"padding,omitempty"`
	Reflect bool       `json:"reflect,omitempty"`
	Flip    float64    `json:"flip"`
	Jitter  [4]float64 `json:"jitter"` // brightness, contrast, saturation, hue
}

func augmentSettingsOf(p augment.Policy) augmentSettings {
	j := p.Jitter
	s := augmentSettings{Crop: "none", Flip: p.Flip, Jitter: [4]float64{j.Brightness, j.Contrast, j.Saturation, j.Hue}}
	switch {
	case p.Resized != nil:
		crop := p.Resized.Resolved()
		s.Crop, s.Scale, s.Ratio = "resized", crop.Scale, crop.Ratio
	case p.Padded != nil:
		s.Crop, s.Padding, s.Reflect = "padded", p.Padded.Padding, p.Padded.Reflect
	}
	return s
}

// resolve settles what is left to its default, which depends on the number of images.
func (t *finetuning) resolve() error {
	c := t.recipe.Config
	c.Seed, c.Unaugmented = uint64(t.o.Seed), !t.policy.Random()
	var err error
	if t.config, err = c.Resolved(t.data.Rows(augment.Training)); err != nil {
		return err
	}
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
func (t *finetuning) resolvedOptions() *finetuneOptions {
	o, c := t.o, t.config
	text := func(v float64) string { return strconv.FormatFloat(max(v, 0), 'g', -1, 64) } // negative: none
	o.Epochs, o.BatchSize, o.Patience, o.LR = c.Epochs, c.BatchSize, c.Patience, nil
	for _, rate := range t.rates {
		o.LR = append(o.LR, text(rate))
	}
	switch s := optimizerSettingsOf(c.Optimizer); s.Name {
	case "sgd":
		o.Optimizer, o.Momentum, o.Nesterov = s.Name, text(s.Momentum), s.Nesterov
	default:
		o.Optimizer = s.Name
	}
	o.WeightDecay, o.LayerDecay, o.Warmup = text(c.Rules.WeightDecay), text(c.Rules.LayerDecay), text(c.Warmup)
	s := scheduleSettingsOf(c.Schedule)
	if o.Schedule, o.StepSize = s.Name, s.StepSize; s.Gamma > 0 {
		o.Gamma = text(s.Gamma)
	}
	o.EMA, o.LabelSmoothing, o.Mixup = text(c.EMA), text(t.task.LabelSmoothing), text(t.mixup.Alpha)
	p := t.policy
	switch {
	case p.Resized != nil:
		o.Augment = "crop"
	case p.Padded != nil && p.Padded.Reflect:
		o.Augment = "reflect"
	case p.Padded != nil:
		o.Augment = "pad"
	case p.Flip > 0:
		o.Augment = "flip"
	default:
		o.Augment = "none"
	}
	o.Engine, o.Device, o.Threads = t.engine, t.onDevice, cores(t.Threads)
	return &o
}

// runSettings are those of the command.
func (t *finetuning) runSettings() runSettings {
	c, o := t.config, t.o
	s := runSettings{
		Model: t.base, Data: fmt.Sprintf("%d images, %s", t.id.Samples, t.id.SHA256),
		Mode: c.Rules.Mode.String(), BatchNorms: o.BN, Head: t.head, HeadInit: cmp.Or(o.HeadInit, "torch"),
		Epochs: c.Epochs, BatchSize: c.BatchSize, LearningRates: t.rates, Optimizer: optimizerSettingsOf(c.Optimizer),
		Rules:    ruleSettings{max(c.Rules.WeightDecay, 0), c.Rules.NoNormDecay, c.Rules.LayerDecay},
		Schedule: scheduleSettingsOf(c.Schedule), Warmup: max(c.Warmup, 0), Clip: c.Clip, EMA: c.EMA, LabelSmoothing: t.task.LabelSmoothing,
		Adversary: adversarySettingsOf(t.task.Adversary), Mixup: t.mixup.Alpha, Augment: augmentSettingsOf(t.policy), Patience: c.Patience, Metric: o.Metric,
		MaxTime: "none", ValFraction: o.ValFraction,
		Seed: o.Seed, Seeds: o.Seeds, Engine: t.engine, Device: t.onDevice, Threads: cores(t.Threads),
		Preparation: featurize.PreparationOf(t.spec, t.transform()),
	}
	if classes := t.data.Classes(); !slices.IsSorted(classes) {
		s.Classes = "by number"
	}
	if c.MaxTime > 0 {
		s.MaxTime = c.MaxTime.String()
	}
	if t.engine == "ort" {
		s.Library = t.library.Version
	}
	return s
}
