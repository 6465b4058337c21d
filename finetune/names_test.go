package finetune_test

import (
	"context"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// A layer may have any name, even one that looks like the name of an optimizer's
// state for another layer.
func TestForeignNames(t *testing.T) {
	plain := toyNet(t, 0)
	for _, names := range []map[string]string{
		{"s1.w": "second/kernel", "s2.w": "momentum/kernel", "head.w": "ema/kernel"},
		{"s1.w": "kernel", "s2.w": "second/kernel", "head.w": "momentum/kernel", "s1.scale": "ema/kernel", "s2.shift": "best/kernel"},
	} {
		for _, optimizer := range []graph.Optimizer{graph.SGD{Momentum: .9}, graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}} {
			foreign := renamed(t, plain, names)
			c := finetune.Config{Epochs: 3, BatchSize: 4, LearningRate: .01, EMA: .5, Optimizer: optimizer}
			d := &toy{rows: [3]int{8, 6, 0}}
			want := train(t, plain, &spy{}, d, c)
			// The second half continues from a checkpoint.
			s := store(t)
			c.Store = s
			ctx, cancel := context.WithCancel(context.Background())
			c.Report = func(e finetune.Event) error {
				if e.Kind == finetune.Stepped && e.Step == 3 {
					cancel()
				}
				return nil
			}
			if _, err := finetune.Train(ctx, foreign, &spy{}, classify.Task{}, d, c); err != nil {
				t.Fatal(err)
			}
			got := train(t, foreign, &spy{}, d, c)
			for _, p := range plain.Params() {
				name := p.Name
				if n, ok := names[name]; ok {
					name = n
				}
				a, err := want.BestModel.Floats(p.Name)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := got.BestModel.Floats(name); err != nil || !slices.Equal(a, b) {
					t.Errorf("%T: %s, called %q, is trained to %v, want %v (%v)", optimizer, p.Name, name, b, a, err)
				}
			}
		}
	}
}

// renamed returns a network with its parameters renamed.
func renamed(t *testing.T, net *graph.Network, names map[string]string) *graph.Network {
	t.Helper()
	m, err := net.Model().Rename(names)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	if to, ok := names[spec.Head.Weight]; ok {
		spec.Head.Weight = to
	}
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	out, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
