package attack_test

import (
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
)

const (
	toySide    = 6
	toyClasses = 6
)

// toy is a small random network with a batch norm, a clamp and a normalisation.
func toy(t testing.TB) *graph.Network {
	t.Helper()
	m := graphtest.NewModel(rand.New(rand.NewPCG(17, 3)), toySide, toySide)
	x := m.Node("Conv", []string{"images", m.Weights("conv1.weight", -1, 1, 8, 3, 3, 3)}, graphtest.Ints("kernel_shape", 3, 3))
	x = m.Node("BatchNormalization", []string{x, m.Weights("scale", .5, 1.5, 8), m.Weights("shift", -1, 1, 8), m.Weights("mean", -.5, .5, 8), m.Weights("variance", 1, 2, 8)}, onnx.Float("epsilon", 1e-5))
	x = m.Node("Relu", []string{x})
	x = m.Node("Conv", []string{x, m.Weights("conv2.weight", -1, 1, toyClasses, 8, 3, 3)}, graphtest.Ints("kernel_shape", 3, 3))
	x = m.Node("GlobalAveragePool", []string{x})
	return toySpec(t, m.Case("toy", x, 2, false, nil).Model)
}

// toySpec adds a clamp and a normalisation to the Spec of a model, and reads it.
func toySpec(t testing.TB, model *onnx.Model) *graph.Network {
	t.Helper()
	spec, _, err := model.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Clamp, spec.Normalized = []float64{0, 1}, false
	spec.Mean, spec.Std = []float64{.5, .4, .3}, []float64{.2, .25, .3}
	if model, err = model.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(model)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// toyAttacker attacks a network in pure Go.
func toyAttacker(t testing.TB, net *graph.Network, batch int) *attack.Attacker {
	t.Helper()
	x := &tape.Executor[float32]{}
	t.Cleanup(func() { x.Close() })
	return attackerOn(t, x, net, batch)
}

// attackerOn attacks a network on an executor, which gets its weights.
func attackerOn(t testing.TB, x finetune.Executor, net *graph.Network, batch int) *attack.Attacker {
	t.Helper()
	if err := finetune.Load(net, x); err != nil {
		t.Fatal(err)
	}
	a, err := attack.New(net, x, attack.Options{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// toyRows are random images, which the toy classifies as their labels except for every
// fifth.
func toyRows(t testing.TB, a *attack.Attacker, n int) []attack.Row {
	t.Helper()
	r := rand.New(rand.NewPCG(17, 4))
	rows := make([]attack.Row, n)
	for i := range rows {
		rows[i] = attack.Row{ID: 100 + i, Image: make([]float32, 3*toySide*toySide)}
		for k := range rows[i].Image {
			rows[i].Image[k] = min(max(r.Float32()*1.4-.2, 0), 1)
		}
	}
	for i, o := range outcomes(t, a, rows, attack.Config{Threat: attack.Threat{Norm: attack.L2}}) {
		if rows[i].Label = o.Predicted; i%5 == 4 {
			rows[i].Label = (o.Predicted + 1) % toyClasses
		}
		rows[i].Target = (rows[i].Label + 2) % toyClasses
	}
	return rows
}
