package attack_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
)

// TestMasking: a network whose values are rounded by steep sigmoids has no gradients, and
// is found out; the toy is not.
func TestMasking(t *testing.T) {
	m := graphtest.NewModel(rand.New(rand.NewPCG(17, 9)), toySide, toySide)
	x := m.Node("Conv", []string{"images", m.Weights("conv1.weight", -4e5, 4e5, 8, 3, 3, 3)}, graphtest.Ints("kernel_shape", 3, 3))
	x = m.Node("Sigmoid", []string{x})
	x = m.Node("Conv", []string{x, m.Weights("conv2.weight", -1, 1, toyClasses, 8, 3, 3)}, graphtest.Ints("kernel_shape", 3, 3))
	x = m.Node("GlobalAveragePool", []string{x})
	steep := toyAttacker(t, toySpec(t, m.Case("steep", x, 2, false, nil).Model), 16)
	c := attack.Config{Threat: attack.Threat{Norm: attack.Linf, Eps: .03}}
	got, err := steep.Masking(t.Context(), toyRows(t, steep, 40), c)
	if err != nil {
		t.Fatal(err)
	}
	want := []attack.Signal{attack.HugeRadius, attack.SquareBetter, attack.ZeroGradients}
	if found := got.Signals(); !slices.Equal(found, want) || got.PGD.Zero != got.PGD.Gradients {
		t.Errorf("%v, want %v: %+v", found, want, got)
	}
	for _, s := range got.Signals() {
		t.Log(got.Describe(s))
	}
	plain := toyAttacker(t, toy(t), 16)
	if got, err = plain.Masking(t.Context(), toyRows(t, plain, 40), c); err != nil || len(got.Signals()) > 0 {
		t.Errorf("%v, %v: %+v", err, got.Signals(), got)
	}
	got.OneStep.Robust = got.PGD.Robust - 1
	if found := got.Signals(); !slices.Equal(found, []attack.Signal{attack.OneStepBetter}) {
		t.Errorf("%v", found)
	}
}
