package cli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// TestSettingsTagged wants every field of settings to have a name of its own in
// JSON, so that a field that is renamed does not become another setting.
func TestSettingsTagged(t *testing.T) {
	var check func(of reflect.Type)
	check = func(of reflect.Type) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Array {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for i := range of.NumField() {
			f := of.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name == "" && !f.Anonymous {
				t.Errorf("%s.%s has no name in JSON", of, f.Name)
			}
			check(f.Type)
		}
	}
	for _, s := range []any{featurize.Settings{}, runSettings{}, probeSettings{}, evaluationSettings{}} {
		check(reflect.TypeOf(s))
	}
}

// TestRunSettings tells apart whatever a run can be trained with.
func TestRunSettings(t *testing.T) {
	keys := map[string]int{}
	for i, s := range []runSettings{
		{},
		{Classes: "by number"},
		{Optimizer: optimizerSettingsOf(graph.SGD{})},
		{Optimizer: optimizerSettingsOf(graph.SGD{Momentum: .9})},
		{Optimizer: optimizerSettingsOf(graph.SGD{Momentum: .9, Nesterov: true})},
		{Optimizer: optimizerSettingsOf(graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8})},
		{Optimizer: optimizerSettingsOf(graph.AdamW{Beta1: .9, Beta2: .99, Eps: 1e-8})},
		{Schedule: scheduleSettingsOf(nil)},
		{Schedule: scheduleSettingsOf(finetune.Constant{})},
		{Schedule: scheduleSettingsOf(finetune.OneCycle{})},
		{Schedule: scheduleSettingsOf(finetune.StepDecay{Every: 50})},
		{Schedule: scheduleSettingsOf(finetune.StepDecay{Every: 50, Gamma: .5})},
		{Augment: augmentSettingsOf(augment.Policy{})},
		{Augment: augmentSettingsOf(augment.Policy{Flip: .5})},
		{Augment: augmentSettingsOf(augment.Policy{Resized: &augment.ResizedCrop{}})},
		{Augment: augmentSettingsOf(augment.Policy{Resized: &augment.ResizedCrop{Scale: [2]float64{.5, 1}}})},
		{Augment: augmentSettingsOf(augment.Policy{Padded: &augment.PaddedCrop{Padding: 4}})},
		{Augment: augmentSettingsOf(augment.Policy{Padded: &augment.PaddedCrop{Padding: 4, Reflect: true}})},
		{Augment: augmentSettingsOf(augment.Policy{Jitter: augment.Jitter{Hue: .1}})},
		{Rules: ruleSettings{NoDecayNorm: true}},
		{LearningRates: []float64{.1}},
		{LearningRates: []float64{.1, .2}},
	} {
		key, err := output.Key(s)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := keys[key]; taken {
			t.Errorf("settings %d and %d have the same key: %+v", other, i, s)
		}
		keys[key] = i
	}
	if a, b := scheduleSettingsOf(nil), scheduleSettingsOf(finetune.Cosine{}); a != b {
		t.Errorf("the default schedule is %+v, and cosine %+v", a, b)
	}
}
