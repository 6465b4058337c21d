package cli

import (
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
func (t *tuning) settings() error {
	c := t.c
	r, err := finetune.NamedRecipe(c.String("recipe"))
	if err != nil {
		return err
	}
	for _, n := range []struct {
		name        string
		least, most int
		to          *int
	}{
		{"epochs", 0, 1 << 20, &r.Epochs}, {"batch-size", 0, 4096, &r.BatchSize}, {"patience", -1, 1 << 20, &r.Patience},
		{"step-size", 0, 1 << 20, new(int)}, {"seed", 0, 1 << 30, new(int)}, {"seeds", 1, 1000, new(int)},
		{"workers", 0, 1 << 14, new(int)}, {"threads", 0, 1 << 14, new(int)}, {"pre-resize", 0, 1 << 14, new(int)},
	} {
		v := c.Int(n.name)
		if v < n.least || v > n.most {
			return &usageError{msg: fmt.Sprintf("--%s is %d, expected %d to %d", n.name, v, n.least, n.most)}
		}
		if v != 0 {
			*n.to = v
		}
	}
	if r.BatchSize == 0 {
		r.BatchSize = 32
	}
	if r.Rules.Mode, err = finetune.ParseMode(c.String("mode")); err != nil {
		return &usageError{msg: fmt.Sprintf("--mode is %q, expected full, fixed or last-K with K from 1 on", c.String("mode"))}
	}
	r.Frozen = c.String("bn") == "frozen"
	if r.BatchSize < 2 && !r.Frozen {
		return &usageError{msg: fmt.Sprintf("--batch-size is %d, expected 2 at least where batch norms adapt to the batch", r.BatchSize), hint: "--bn frozen takes single images"}
	}
	t.task.MeanPerClass = c.String("metric") == "mean-per-class"
	r.Rules.NoNormDecay = c.Bool("no-decay-norm")
	for _, n := range []struct {
		name      string
		low, high float64
		to        *float64
	}{
		{"weight-decay", 0, 1e6, &r.Rules.WeightDecay}, {"layer-decay", 1e-6, 1, &r.Rules.LayerDecay}, {"warmup", 0, 1e6, &r.Warmup},
		{"clip", 1e-12, 1e12, &r.Clip}, {"ema", 0, .999999999, &r.EMA}, {"label-smoothing", 0, .999999, &t.task.LabelSmoothing},
		{"mixup", 0, 1e6, &t.mixup.Alpha},
	} {
		if c.String(n.name) == "" {
			continue
		}
		if *n.to, err = t.fraction(n.name, n.low, n.high); err != nil {
			return err
		}
		if *n.to == 0 && (n.name == "weight-decay" || n.name == "warmup") {
			*n.to = -1 // none, where 0 is the default
		}
	}
	if s := c.String("max-time"); s != "" {
		if r.MaxTime, err = time.ParseDuration(s); err != nil || r.MaxTime <= 0 {
			return &usageError{msg: fmt.Sprintf("--max-time is %q, expected a time such as 45m or 1h30m", s)}
		}
	}
	t.recipe = r
	if t.heldOut, err = t.fraction("val-fraction", 0, .9); err != nil {
		return err
	}
	for _, set := range []func() error{t.chooseRates, t.chooseOptimizer, t.chooseSchedule, t.chooseJitter} {
		if err := set(); err != nil {
			return err
		}
	}
	return nil
}

// fraction is a flag's number between two others.
func (t *tuning) fraction(name string, low, high float64) (float64, error) {
	v, err := strconv.ParseFloat(t.c.String(name), 64)
	if err != nil || !(v >= low && v <= high) {
		return 0, &usageError{msg: fmt.Sprintf("--%s is %q, expected a number from %g to %g", name, t.c.String(name), low, high)}
	}
	return v, nil
}

func (t *tuning) chooseRates() error {
	r := &t.recipe
	switch {
	case len(r.LearningRates) > 0:
		t.rates = r.LearningRates
	case r.LearningRate > 0:
		t.rates = []float64{r.LearningRate}
	case t.c.String("optimizer") == "adamw":
		t.rates = []float64{.001 * float64(r.BatchSize) / 64}
	default:
		t.rates = []float64{.01 * float64(r.BatchSize) / 64}
	}
	if given := t.c.StringSlice("lr"); len(given) > 0 {
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

func (t *tuning) chooseOptimizer() error {
	c, r := t.c, &t.recipe
	sgd, is := r.Optimizer.(graph.SGD)
	if !is {
		sgd = graph.SGD{Momentum: .9, Nesterov: true}
	}
	if s := c.String("momentum"); s != "" {
		m, err := t.fraction("momentum", 0, 1)
		if err != nil {
			return err
		}
		sgd = graph.SGD{Momentum: m}
	}
	sgd.Nesterov = sgd.Nesterov || c.Bool("nesterov") && sgd.Momentum > 0
	switch c.String("optimizer") {
	case "", "sgd":
		r.Optimizer = sgd
	case "adamw":
		if c.String("momentum") != "" || c.Bool("nesterov") {
			return &usageError{msg: "--momentum and --nesterov go with --optimizer sgd"}
		}
		r.Optimizer = graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}
	default:
		return &usageError{msg: fmt.Sprintf("--optimizer is %q, expected sgd or adamw", c.String("optimizer"))}
	}
	return nil
}

func (t *tuning) chooseSchedule() error {
	c, r := t.c, &t.recipe
	step, _ := r.Schedule.(finetune.StepDecay)
	if n := c.Int("step-size"); n > 0 {
		step.Every = n
	}
	if c.String("gamma") != "" {
		var err error
		if step.Gamma, err = t.fraction("gamma", 1e-12, 1); err != nil {
			return err
		}
	}
	_, steps := r.Schedule.(finetune.StepDecay)
	switch name := c.String("schedule"); name {
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
		if c.String("warmup") == "" {
			r.Warmup = -1 // it has its own
		}
	default:
		return &usageError{msg: fmt.Sprintf("--schedule is %q, expected cosine, step, onecycle or constant", name)}
	}
	if !steps && (c.Int("step-size") > 0 || c.String("gamma") != "") {
		return &usageError{msg: "--step-size and --gamma go with --schedule step"}
	}
	return nil
}

func (t *tuning) chooseJitter() error {
	s := t.c.String("jitter")
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
func (t *tuning) choosePolicy() error {
	how := t.c.String("augment")
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
