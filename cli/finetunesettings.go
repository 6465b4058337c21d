package cli

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// settings is the recipe, and what flags change of it.
func (t *finetuning) settings() error {
	o := &t.o
	r, err := finetune.NamedRecipe(o.Recipe)
	if err != nil {
		return err
	}
	if err := o.checkIntegers(); err != nil {
		return err
	}
	r.Epochs, r.BatchSize, r.Patience = cmp.Or(o.Epochs, r.Epochs), cmp.Or(o.BatchSize, r.BatchSize, 32), cmp.Or(o.Patience, r.Patience)
	if r.Rules.Mode, err = finetune.ParseMode(o.Mode); err != nil {
		return &usageError{msg: fmt.Sprintf("--mode is %q, expected full, fixed or last-K with K from 1 on", o.Mode)}
	}
	r.Frozen = o.BN == "frozen"
	if r.BatchSize < 2 && !r.Frozen {
		return &usageError{msg: fmt.Sprintf("--batch-size is %d, expected 2 at least where batch norms adapt to the batch", r.BatchSize), hint: "--bn frozen takes single images"}
	}
	t.task.MeanPerClass, t.task.Robust = o.Metric == "mean-per-class", o.Metric == "robust"
	r.Rules.NoNormDecay = o.NoDecayNorm
	for _, n := range []struct {
		name, text string
		low, high  float64
		to         *float64
	}{
		{"weight-decay", o.WeightDecay, 0, 1e6, &r.Rules.WeightDecay}, {"layer-decay", o.LayerDecay, 1e-6, 1, &r.Rules.LayerDecay},
		{"warmup", o.Warmup, 0, 1e6, &r.Warmup}, {"clip", o.Clip, 1e-12, 1e12, &r.Clip}, {"ema", o.EMA, 0, .999999999, &r.EMA},
		{"label-smoothing", o.LabelSmoothing, 0, .999999, &t.task.LabelSmoothing}, {"mixup", o.Mixup, 0, 1e6, &t.mixup.Alpha},
	} {
		if n.text == "" {
			continue
		}
		if *n.to, err = fraction(n.name, n.text, n.low, n.high); err != nil {
			return err
		}
		if *n.to == 0 && (n.name == "weight-decay" || n.name == "warmup") {
			*n.to = -1 // none, where 0 is the default
		}
	}
	if s := o.MaxTime; s != "" {
		if r.MaxTime, err = time.ParseDuration(s); err != nil || r.MaxTime <= 0 {
			return &usageError{msg: fmt.Sprintf("--max-time is %q, expected a time such as 45m or 1h30m", s)}
		}
	}
	t.recipe = r
	if t.heldOut, err = fraction("val-fraction", o.ValFraction, 0, .9); err != nil {
		return err
	}
	for _, set := range []func() error{t.chooseRates, t.chooseOptimizer, t.chooseSchedule, t.chooseJitter} {
		if err := set(); err != nil {
			return err
		}
	}
	return nil
}

// checkIntegers wants whole numbers in their ranges.
func (o *finetuneOptions) checkIntegers() error {
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"epochs", o.Epochs, 0, 1 << 20}, {"batch-size", o.BatchSize, 0, 4096}, {"patience", o.Patience, -1, 1 << 20},
		{"step-size", o.StepSize, 0, 1 << 20}, {"seed", o.Seed, 0, 1 << 30}, {"seeds", o.Seeds, 1, 1000},
		{"workers", o.Workers, 0, 1 << 14}, {"threads", o.Threads, 0, 1 << 14}, {"pre-resize", o.PreResize, 0, 1 << 14},
	} {
		if n.value < n.least || n.value > n.most {
			return &usageError{msg: fmt.Sprintf("--%s is %d, expected %d to %d", n.name, n.value, n.least, n.most)}
		}
	}
	return nil
}

// fraction is a flag's number between two others.
func fraction(name, text string, low, high float64) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= low && v <= high) {
		return 0, &usageError{msg: fmt.Sprintf("--%s is %q, expected a number from %g to %g", name, text, low, high)}
	}
	return v, nil
}

func (t *finetuning) chooseRates() error {
	r := &t.recipe
	switch {
	case len(r.LearningRates) > 0:
		t.rates = r.LearningRates
	case r.LearningRate > 0:
		t.rates = []float64{r.LearningRate}
	case t.o.Optimizer == "adamw":
		t.rates = []float64{.001 * float64(r.BatchSize) / 64}
	default:
		t.rates = []float64{.01 * float64(r.BatchSize) / 64}
	}
	if given := t.o.LR; len(given) > 0 {
		t.rates = nil
		for _, s := range given {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil || !(v >= 0 && v <= 1e6) {
				return &usageError{msg: fmt.Sprintf("--lr is %q, expected a learning rate such as 0.01", s)}
			}
			if !slices.Contains(t.rates, v) {
				t.rates = append(t.rates, v)
			}
		}
	}
	return nil
}

func (t *finetuning) chooseOptimizer() error {
	o, r := &t.o, &t.recipe
	sgd, is := r.Optimizer.(graph.SGD)
	if !is {
		sgd = graph.SGD{Momentum: .9, Nesterov: true}
	}
	if o.Momentum != "" {
		m, err := fraction("momentum", o.Momentum, 0, 1)
		if err != nil {
			return err
		}
		sgd = graph.SGD{Momentum: m}
	}
	sgd.Nesterov = sgd.Nesterov || o.Nesterov && sgd.Momentum > 0
	switch o.Optimizer {
	case "", "sgd":
		r.Optimizer = sgd
	case "adamw":
		if o.Momentum != "" || o.Nesterov {
			return &usageError{msg: "--momentum and --nesterov go with --optimizer sgd"}
		}
		r.Optimizer = graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}
	default:
		return &usageError{msg: fmt.Sprintf("--optimizer is %q, expected sgd or adamw", o.Optimizer)}
	}
	return nil
}

func (t *finetuning) chooseSchedule() error {
	o, r := &t.o, &t.recipe
	step, _ := r.Schedule.(finetune.StepDecay)
	if o.StepSize > 0 {
		step.Every = o.StepSize
	}
	if o.Gamma != "" {
		var err error
		if step.Gamma, err = fraction("gamma", o.Gamma, 1e-12, 1); err != nil {
			return err
		}
	}
	_, steps := r.Schedule.(finetune.StepDecay)
	switch o.Schedule {
	case "":
		if steps {
			r.Schedule = step
		}
	case "step":
		r.Schedule, steps = step, true
	case "cosine":
		r.Schedule, steps = finetune.Cosine{}, false
	case "constant":
		r.Schedule, steps = finetune.Constant{}, false
	case "onecycle":
		r.Schedule, steps = finetune.OneCycle{}, false
		if o.Warmup == "" {
			r.Warmup = -1 // it has its own
		}
	default:
		return &usageError{msg: fmt.Sprintf("--schedule is %q, expected cosine, step, onecycle or constant", o.Schedule)}
	}
	if !steps && (o.StepSize > 0 || o.Gamma != "") {
		return &usageError{msg: "--step-size and --gamma go with --schedule step"}
	}
	return nil
}

func (t *finetuning) chooseJitter() error {
	s := t.o.Jitter
	if s == "" {
		return nil
	}
	var v []float64
	for _, f := range strings.Split(s, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(f), 64)
		if err != nil || !(x >= 0) || math.IsInf(x, 0) {
			v = nil
			break
		}
		v = append(v, x)
	}
	if len(v) != 4 || v[3] > .5 {
		return &usageError{msg: fmt.Sprintf("--jitter is %q, expected four numbers such as 0.4,0.4,0.4,0.1, the last at most 0.5", s)}
	}
	t.policy.Jitter = augment.Jitter{Brightness: v[0], Contrast: v[1], Saturation: v[2], Hue: v[3]}
	return nil
}

// smallSize is that up to which a random resized crop leaves too little of an
// image; shifts are what is usual there.
const smallSize = 64

// choosePolicy says what is done to training images, which depends on their
// size.
func (t *finetuning) choosePolicy() error {
	how := t.o.Augment
	if how == "" {
		how = "crop"
		if t.spec.InputSize[0] <= smallSize {
			how = "pad"
		}
	}
	p := &t.policy
	p.Flip = .5
	switch pad := max(1, t.spec.InputSize[0]/8); how {
	case "crop":
		p.Resized = &augment.ResizedCrop{}
	case "pad", "reflect":
		p.Padded = &augment.PaddedCrop{Padding: pad, Reflect: how == "reflect"}
	case "flip":
	case "none":
		p.Flip = 0
	default:
		return &usageError{msg: fmt.Sprintf("--augment is %q, expected crop, pad, reflect, flip or none", how)}
	}
	return p.Check()
}
