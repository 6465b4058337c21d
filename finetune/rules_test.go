package finetune_test

import (
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

func TestModes(t *testing.T) {
	all := []string{"s1.w", "s1.scale", "s1.shift", "s2.w", "s2.scale", "s2.shift", "head.w", "head.b"}
	for mode, want := range map[string][]string{"full": all, "last-2": all, "last-1": all[3:], "fixed": all[6:]} {
		for _, frozen := range []bool{false, true} {
			m, err := finetune.ParseMode(mode)
			if err != nil || m.String() != mode {
				t.Fatalf("%q: %v, %v", mode, m, err)
			}
			net := toyNet(t, 0)
			var x spy
			train(t, net, &x, &toy{rows: [3]int{8, 0, 0}}, finetune.Config{Epochs: 1, BatchSize: 4, Frozen: frozen, Rules: finetune.Rules{Mode: m}})
			for _, p := range net.Params() {
				was, _ := net.Values(p.Name)
				moved := distance(was, values(t, net, &x, graph.Parameter, p.Name)) > 0
				if expected := slices.Contains(want, p.Name) || p.Kind.Statistic() && !frozen; moved != expected {
					t.Errorf("%s, frozen %v: %s changed: %v", mode, frozen, p.Name, moved)
				}
			}
		}
	}
	for _, bad := range []string{"", "last-0", "last-x", "half"} {
		if _, err := finetune.ParseMode(bad); err == nil {
			t.Errorf("no error for mode %q", bad)
		}
	}
	if _, err := (finetune.Rules{Mode: finetune.Mode{Last: 3}}).For(toyNet(t, 0)); err == nil {
		t.Error("no error for more stages than there are")
	}
}

func TestRules(t *testing.T) {
	net := toyNet(t, 0)
	rule, err := finetune.Rules{WeightDecay: .1, NoNormDecay: true, LayerDecay: .5}.For(net)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]graph.Rule{
		"s1.w": {LRScale: .25, WeightDecay: .1}, "s1.scale": {LRScale: .25}, "s1.shift": {LRScale: .25}, "s2.w": {LRScale: .5, WeightDecay: .1}, "s2.scale": {LRScale: .5}, "s2.shift": {LRScale: .5},
		"head.w": {LRScale: 1, WeightDecay: .1}, "head.b": {LRScale: 1},
	}
	for _, p := range net.Params() {
		got, trained := rule(p)
		if w, ok := want[p.Name]; ok != trained || got != w {
			t.Errorf("%s: %+v %v, want %+v", p.Name, got, trained, w)
		}
	}
	rule, _ = finetune.Rules{WeightDecay: .1, NoNormDecay: true, BiasDecay: true}.For(net)
	for _, p := range net.Params() {
		want := map[graph.Kind]float64{graph.Weight: .1, graph.Bias: .1}[p.Kind]
		if got, trained := rule(p); trained && got.WeightDecay != want {
			t.Errorf("%s: weight decay %v, want %v", p.Name, got.WeightDecay, want)
		}
	}
	if rule, _ = (finetune.Rules{WeightDecay: -1}).For(net); rule != nil {
		if r, _ := rule(net.Params()[0]); r.WeightDecay != 0 || r.LRScale != 1 {
			t.Errorf("%+v", r)
		}
	}
}
