package cli

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// trainSettings makes the settings of a command with options, for so many images.
func trainSettings(t *testing.T, rows int, given *onnx.Detect, change func(o *detectTrainOptions)) *detectorTraining {
	t.Helper()
	o := detectTrainOptions{
		Model: "m", Data: "d", Out: "o", Recipe: "quick", Kind: "auto", Masks: "auto", TrainStages: 3, BN: "fixed",
		Metric: "bbox", ValFraction: "0.1", Empty: "drop", Seeds: 1, Engine: "auto", Device: "auto",
	}
	change(&o)
	var stderr bytes.Buffer
	d := &detectorTraining{network: network{env: &env{stdout: &stderr, stderr: &stderr}, networkOptions: o.network()}, o: o}
	if err := d.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if given != nil {
		d.given, d.spec.Detect = &onnx.Model{}, given
	}
	if err := d.settings(rows); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDetectTrainSizes compares the sizes of images that flags, recipes and detectors say.
func TestDetectTrainSizes(t *testing.T) {
	detector := &onnx.Detect{Images: onnx.DetectImages{MinSize: 600, MaxSize: 1000}}
	for name, c := range map[string]struct {
		given  *onnx.Detect
		change func(o *detectTrainOptions)
		sizes  []int
		most   int
	}{
		"the recipe's":    {nil, func(o *detectTrainOptions) {}, []int{320}, 320},
		"several":         {nil, func(o *detectTrainOptions) { o.Recipe = "detectron2-1x" }, []int{640, 672, 704, 736, 768, 800}, 1333},
		"--size":          {nil, func(o *detectTrainOptions) { o.Size, o.Recipe = 512, "detectron2-1x" }, []int{512}, 512},
		"--size rounded":  {nil, func(o *detectTrainOptions) { o.Size = 500 }, []int{512}, 512},
		"--min-size":      {nil, func(o *detectTrainOptions) { o.MinSize = 480 }, []int{480}, 800},
		"--max-size":      {nil, func(o *detectTrainOptions) { o.MinSize, o.MaxSize = 480, 640 }, []int{480}, 640},
		"the detector's":  {detector, func(o *detectTrainOptions) {}, []int{600}, 1000},
		"--size stronger": {detector, func(o *detectTrainOptions) { o.Size = 256 }, []int{256}, 256},
	} {
		r := trainSettings(t, 100, c.given, c.change).recipe
		if !slices.Equal(r.MinSizes, c.sizes) || r.Detector.MinSize != slices.Max(c.sizes) || r.Detector.MaxSize != c.most {
			t.Errorf("%s: shorter sides %v, the detector's %d, longer up to %d, want %v and %d", name, r.MinSizes, r.Detector.MinSize, r.Detector.MaxSize, c.sizes, c.most)
		}
	}
}

// TestDetectTrainSchedules compares learning rates of flags at some steps of 10 epochs of
// 25 steps.
func TestDetectTrainSchedules(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o *detectTrainOptions)
		at     map[int]float64
	}{
		"constant":   {func(o *detectTrainOptions) { o.Schedule, o.LR = "constant", "0.1" }, map[int]float64{0: 1e-4, 50: .1, 249: .1}},
		"no warm-up": {func(o *detectTrainOptions) { o.Schedule, o.Warmup, o.LR = "constant", "0", "0.1" }, map[int]float64{0: .1}},
		"warm-up":    {func(o *detectTrainOptions) { o.Schedule, o.Warmup, o.LR = "constant", "1", "0.1" }, map[int]float64{0: 1e-4, 5: .1 * (.001 + .999/5), 25: .1}},
		"step":       {func(o *detectTrainOptions) { o.Schedule = "step" }, map[int]float64{153: .01, 154: .001, 211: .001, 212: .0001}},
		"the recipe": {func(o *detectTrainOptions) {}, map[int]float64{0: 1e-5, 125: .005, 249: .01 * (1 + math.Cos(math.Pi*249/250)) / 2}},
		"fewer":      {func(o *detectTrainOptions) { o.BatchSize, o.Schedule = 2, "constant" }, map[int]float64{249: .005}},
		"adamw":      {func(o *detectTrainOptions) { o.Optimizer, o.Schedule = "adamw", "constant" }, map[int]float64{249: .0001}},
	} {
		r := trainSettings(t, 100, nil, func(o *detectTrainOptions) { o.Epochs = 10; c.change(o) }).recipe
		for step, want := range c.at {
			if got := r.LearningRate * r.Schedule.Factor(step, finetune.Length{Steps: 250, Epoch: 25}); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: learning rate %v in step %d, want %v", name, got, step, want)
			}
		}
		if _, is := r.Optimizer.(graph.AdamW); is != (name == "adamw") {
			t.Errorf("%s: optimizer %T", name, r.Optimizer)
		}
	}
}

// TestDetectTrainBatchNorms compares what of batch norms is trained.
func TestDetectTrainBatchNorms(t *testing.T) {
	for bn, want := range map[string][2]bool{"fixed": {true, true}, "frozen": {true, false}, "adapt": {false, false}, "adapt-small": {false, false}} {
		d := trainSettings(t, 100, nil, func(o *detectTrainOptions) {
			if o.BN = bn; bn == "adapt" {
				o.BatchSize = 8
			}
		})
		if got := [2]bool{d.recipe.Frozen, d.recipe.Rules.FixedNorms}; got != want {
			t.Errorf("--bn %s: frozen, fixed %v, want %v", bn, got, want)
		}
		if told := strings.Contains(strings.Join(d.warnings, "\n"), "usually worse"); told != (bn == "adapt-small") {
			t.Errorf("--bn %s: warnings %q", bn, d.warnings)
		}
	}
	for k, want := range map[int]finetune.Mode{0: {Fixed: true}, 1: {Last: 1}, 3: {Last: 3}, 4: {}, 5: {}} {
		if got := modeOf(k, 4); got != want {
			t.Errorf("%d stages of 4: %v, want %v", k, got, want)
		}
	}
}

// TestDetectTrainOverridden wants flags to count over the recipe, whose steps --epochs
// replaces.
func TestDetectTrainOverridden(t *testing.T) {
	r := trainSettings(t, 100, nil, func(o *detectTrainOptions) { o.Recipe = "detectron2-1x" }).recipe
	if r.Steps != 720000 {
		t.Errorf("%d steps, want 720000", r.Steps)
	}
	r = trainSettings(t, 100, nil, func(o *detectTrainOptions) {
		o.Recipe, o.Epochs, o.Patience, o.Clip, o.EMA, o.MaxTime, o.WeightDecay = "detectron2-1x", 3, 2, "10", "0.99", "5m", "0.05"
	}).recipe
	if r.Rules.WeightDecay != .05 || !r.Rules.NoNormDecay || r.Steps != 0 || r.Config.Epochs != 3 || r.Patience != 2 || r.Clip != 10 || r.EMA != .99 || r.MaxTime.Minutes() != 5 {
		t.Errorf("%+v", r.Config)
	}
}

// TestDetectTrainWeightDecay compares weight decays of flags and the recipe. None is a
// negative number to finetune.Rules, where 0 is the default.
func TestDetectTrainWeightDecay(t *testing.T) {
	for text, want := range map[string]float64{"": 1e-4, "0.01": .01, "0": -1} {
		got := trainSettings(t, 100, nil, func(o *detectTrainOptions) { o.WeightDecay = text }).recipe.Rules.WeightDecay
		if got != want {
			t.Errorf("--weight-decay %q: %v, want %v", text, got, want)
		}
	}
}

// TestDetectTrainKeys wants settings that make other weights to have other keys.
func TestDetectTrainKeys(t *testing.T) {
	keys := map[string]string{}
	for name, change := range map[string]func(s *detectSettings){
		"as it is":  func(*detectSettings) {},
		"multistep": func(s *detectSettings) { s.Schedule = scheduleSettingsOf(finetune.MultiStep{At: []float64{.5}}) },
		"later":     func(s *detectSettings) { s.Schedule = scheduleSettingsOf(finetune.MultiStep{At: []float64{.6}}) },
		"ramp": func(s *detectSettings) {
			s.Schedule = scheduleSettingsOf(finetune.Ramp{Steps: 5, Then: finetune.Cosine{}})
		},
		"longer ramp": func(s *detectSettings) {
			s.Schedule = scheduleSettingsOf(finetune.Ramp{Steps: 6, Then: finetune.Cosine{}})
		},
		"regions":       func(s *detectSettings) { s.Conventions.RoISamples = 128 },
		"heads":         func(s *detectSettings) { s.Heads = &headSettings{AnchorScale: 1} },
		"smaller heads": func(s *detectSettings) { s.Heads = &headSettings{AnchorScale: .5} },
		"sizes":         func(s *detectSettings) { s.MinSizes = []int{320} },
		"steps":         func(s *detectSettings) { s.Steps = 7 },
	} {
		var s detectSettings
		change(&s)
		key, err := output.Key(s)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := keys[key]; taken {
			t.Errorf("%s and %s have the same key", other, name)
		}
		keys[key] = name
	}
}
