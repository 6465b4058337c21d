package cli

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// runSettings are what the weights of a run depend on.
type runSettings struct {
	Model          string            `json:"model"` // SHA-256
	Data           string            `json:"data"`
	Classes        string            `json:"classes,omitempty"` // their order, where it is not that of text
	Mode           string            `json:"mode"`
	BatchNorms     string            `json:"bn"`
	Head           string            `json:"head"`
	HeadInit       string            `json:"head_init"`
	Epochs         int               `json:"epochs,string"`
	BatchSize      int               `json:"batch_size,string"`
	LearningRates  []float64         `json:"lr"`
	Optimizer      optimizerSettings `json:"optimizer"`
	Rules          ruleSettings      `json:"rules"`
	Schedule       scheduleSettings  `json:"schedule"`
	Warmup         float64           `json:"warmup,string"`
	Clip           float64           `json:"clip,string"`
	EMA            float64           `json:"ema,string"`
	LabelSmoothing float64           `json:"label_smoothing,string"`
	Mixup          float64           `json:"mixup,string"`
	Augment        augmentSettings   `json:"augment"`
	Patience       int               `json:"patience,string"`
	Metric         string            `json:"metric"`
	MaxTime        string            `json:"max_time"`
	ValFraction    string            `json:"val_fraction"`
	Seed           int               `json:"seed,string"`
	Seeds          int               `json:"seeds,string"`
	Engine         string            `json:"engine"`
	Device         string            `json:"device"`
	Threads        int               `json:"threads,string"`
	Library        string            `json:"onnxruntime,omitempty"` // its version, where it computes
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
	WeightDecay float64 `json:"weight_decay"` // 0: the default
	NoDecayNorm bool    `json:"no_decay_norm"`
	LayerDecay  float64 `json:"layer_decay"`
}

type scheduleSettings struct {
	Name     string  `json:"name"`
	StepSize int     `json:"step_size,omitempty"`
	Gamma    float64 `json:"gamma,omitempty"`
}

func scheduleSettingsOf(s finetune.Schedule) scheduleSettings {
	switch s := s.(type) {
	case nil, finetune.Cosine:
		return scheduleSettings{Name: "cosine"}
	case finetune.Constant:
		return scheduleSettings{Name: "constant"}
	case finetune.OneCycle:
		return scheduleSettings{Name: "onecycle"}
	case finetune.StepDecay:
		return scheduleSettings{Name: "step", StepSize: s.Every, Gamma: s.Gamma}
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
		s.Crop, s.Scale, s.Ratio = "resized", p.Resized.Scale, p.Resized.Ratio
	case p.Padded != nil:
		s.Crop, s.Padding, s.Reflect = "padded", p.Padded.Padding, p.Padded.Reflect
	}
	return s
}

// runSettings are those of the command.
func (t *finetuning) runSettings() runSettings {
	r, o := t.recipe, t.o
	s := runSettings{
		Model: t.base, Data: fmt.Sprintf("%d images, %s", t.id.Samples, t.id.SHA256),
		Mode: r.Rules.Mode.String(), BatchNorms: o.BN, Head: o.Head, HeadInit: o.HeadInit,
		Epochs: r.Epochs, BatchSize: r.BatchSize, LearningRates: t.rates, Optimizer: optimizerSettingsOf(r.Optimizer),
		Rules:    ruleSettings{r.Rules.WeightDecay, r.Rules.NoNormDecay, r.Rules.LayerDecay},
		Schedule: scheduleSettingsOf(r.Schedule), Warmup: r.Warmup, Clip: r.Clip, EMA: r.EMA, LabelSmoothing: t.task.LabelSmoothing,
		Mixup: t.mixup.Alpha, Augment: augmentSettingsOf(t.policy), Patience: r.Patience, Metric: o.Metric,
		MaxTime: r.MaxTime.String(), ValFraction: o.ValFraction,
		Seed: o.Seed, Seeds: o.Seeds, Engine: t.engine, Device: t.Device, Threads: cores(t.Threads),
		Preparation: featurize.PreparationOf(t.spec, t.transform()),
	}
	if classes := t.data.Classes(); !slices.IsSorted(classes) {
		s.Classes = "by number"
	}
	if t.engine == "ort" {
		s.Library = t.library.Version
	}
	return s
}
