package graphtest

import (
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// losses are cases of losses other than CrossEntropy, of values that are the images
// times a gain.
func losses(rng *rand.Rand) (out []Case) {
	const batch, h, w = 2, 3, 4
	const n = batch * 3 * h * w
	same := []float64{1, 1, 1}
	for _, c := range []struct {
		name string
		op   graph.Op
		by   float64 // multiplies the loss, so that its gradient is not 1
		gain []float64
		aims func(x []float64) []float64
	}{
		{"SigmoidCrossEntropy", graph.SigmoidCrossEntropy{}, 1, []float64{1, -1, 3}, labels(rng)},
		{"SigmoidCrossEntropy, halved", graph.SigmoidCrossEntropy{}, .5, []float64{1, -1, 3}, labels(rng)},
		{"SigmoidCrossEntropy, large logits", graph.SigmoidCrossEntropy{}, 1, []float64{1e4, -1e4, 1e3}, labels(rng)},
		{"SmoothL1", graph.SmoothL1{Beta: .125}, 1, same, around(rng)},
		{"SmoothL1, halved", graph.SmoothL1{Beta: 1}, .5, same, around(rng)},
		{"L1", graph.SmoothL1{}, 1, same, around(rng)},
		{"L1, halved", graph.SmoothL1{}, .5, same, around(rng)},
		{"Dot", graph.Dot{}, 1, same, nil},
		{"Dot, halved", graph.Dot{}, .5, same, nil},
	} {
		m := NewModel(rng, h, w)
		x := m.Node("Mul", []string{"images", m.Floats("gain", c.gain, 1, 3, 1, 1)})
		k := m.Case(c.name, x, batch, true, Distinct(rng, n, .1, 2))
		k.Inputs = map[string][]float64{"t": Uniform(rng, n, -1, 1)}
		others := []string{"t"}
		if c.aims != nil {
			weights := append([]float64{0}, Uniform(rng, n-1, 0, 1)...)
			k.Inputs, others = map[string][]float64{"t": c.aims(k.Images), "w": weights}, []string{"t", "w"}
		}
		k.Objective = lossOf(c.op, x, c.by, others...)
		out = append(out, k)
	}
	return out
}

// lossOf is the objective of a loss of a value of the model, multiplied by a factor.
// The op's other inputs have the shape of the value.
func lossOf(op graph.Op, value string, by float64, others ...string) graph.Objective {
	return func(b *graph.Builder) (graph.Value, []graph.Named) {
		in := []graph.Value{b.Value(value)}
		for _, name := range others {
			in = append(in, b.Input(name, in[0].Shape()))
		}
		loss := b.Apply(op, in...)
		if by != 1 {
			loss = b.Apply(graph.MulScalar{By: by}, loss)
		}
		return loss, nil
	}
}

// labels makes targets of 0 and 1, and one between.
func labels(rng *rand.Rand) func(x []float64) []float64 {
	return func(x []float64) []float64 {
		out := make([]float64, len(x))
		for i := range out {
			out[i] = float64(rng.IntN(2))
		}
		out[1] = .25
		return out
	}
}

// around makes targets that differ from the values by up to 2, on both sides of the
// kinks of the smooth L1 losses.
func around(rng *rand.Rand) func(x []float64) []float64 {
	return func(x []float64) []float64 {
		out := Away(Uniform(rng, len(x), -2, 2), -1, -.125, 0, .125, 1)
		for i := range out {
			out[i] = float64(float32(out[i] + x[i]))
		}
		return out
	}
}
