// Package graphtest makes tiny networks of single operators, with random geometry
// and values, and evaluates programs node by node in float64: the reference that
// executors are tested against.
//
//	for _, c := range graphtest.Cases(rng) {
//		n, p, err := c.Program()
//		feed, err := c.Feed(n, p, rng) // its inputs and variables
//		want := graphtest.Run(p, feed) // what the executor should return
//	}
package graphtest

import (
	"math/rand/v2"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// Case is a network from images to logits around the operator under test, and a
// batch of images. Values stay at least Margin away from kinks and ties, where
// derivatives jump.
type Case struct {
	Name   string
	Model  *onnx.Model
	Batch  int
	Adapt  bool      // batch norms use the statistics of the batch
	Images []float64 // [Batch,3,H,W]; float32 holds them exactly

	Objective graph.Objective      // nil: CrossEntropy
	Inputs    map[string][]float64 // of the objective, besides Targets
}

// Margin is the least distance of values from kinks and from each other.
const Margin = 1e-3

// Cases makes the cases of all operators.
func Cases(rng *rand.Rand) []Case {
	var out []Case
	out = append(out, convolutions(rng)...)
	out = append(out, batchNorms(rng)...)
	out = append(out, operators(rng)...)
	out = append(out, instanceNorms(rng)...)
	out = append(out, losses(rng)...)
	out = append(out, focalLosses(rng)...)
	out = append(out, margins(rng)...)
	out = append(out, picks(rng)...)
	out = append(out, roiAligns(rng)...)
	return out
}

// Program returns the case's network, and its program whose outputs are the logits,
// the loss and the gradients with respect to every parameter and the images.
func (c Case) Program() (*graph.Network, *graph.Program, error) {
	n, err := graph.Read(c.Model)
	if err != nil {
		return nil, nil, err
	}
	objective := c.Objective
	if objective == nil {
		objective = CrossEntropy
	}
	p, err := n.Program(graph.Config{
		Batch: c.Batch, Adapt: c.Adapt, ImageGradient: true,
		Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true },
	}, objective)
	return n, p, err
}

// Targets is the input [N,K] of CrossEntropy.
const Targets = "targets"

// CrossEntropy is the objective of the cases: the cross-entropy of the logits and
// the input Targets.
func CrossEntropy(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	logits := b.Results()[0]
	return b.Apply(graph.CrossEntropy{}, logits, b.Input(Targets, logits.Shape())), []graph.Named{{Name: graph.Logits, Value: logits}}
}

// Feed returns values for each input and variable of a program: the case's images and
// inputs, targets whose rows are distributions (the last with half the weight), the model's
// parameters, and masks of zeros and twos.
func (c Case) Feed(n *graph.Network, p *graph.Program, rng *rand.Rand) (map[string][]float64, error) {
	feed := map[string][]float64{}
	for _, i := range append(p.Leaves(graph.Input), p.Leaves(graph.State)...) {
		node := p.Nodes[i]
		switch {
		case node.Role == graph.State:
			values, err := n.Values(node.Name)
			if err != nil {
				return nil, err
			}
			feed[node.Name] = widen(values)
		case node.Name == graph.Images:
			feed[node.Name] = c.Images
		case node.Name == Targets:
			feed[node.Name] = targets(rng, node.Shape[0], node.Shape[1])
		case c.Inputs[node.Name] != nil:
			feed[node.Name] = c.Inputs[node.Name]
		case strings.HasPrefix(node.Name, graph.Masks):
			v := make([]float64, node.Shape.Size())
			for k := range v {
				v[k] = float64(2 * rng.IntN(2))
			}
			feed[node.Name] = v
		default: // momentum
			feed[node.Name] = []float64{0.25}
		}
	}
	return feed, nil
}

func targets(rng *rand.Rand, n, k int) []float64 {
	out := Uniform(rng, n*k, 0, 1)
	for i := range n {
		row, sum := out[i*k:][:k], 0.0
		for _, v := range row {
			sum += v
		}
		weight := 1 / float64(n)
		if i == n-1 {
			weight /= 2
		}
		for j := range row {
			row[j] = float64(float32(row[j] / sum * weight))
		}
	}
	return out
}

func widen(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// Uniform draws n numbers from [low, high), rounded to float32.
func Uniform(rng *rand.Rand, n int, low, high float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(float32(low + (high-low)*rng.Float64()))
	}
	return out
}

// Away moves values that are closer than Margin to a kink to 2·Margin from it.
func Away(v []float64, kinks ...float64) []float64 {
	for i, x := range v {
		for _, k := range kinks {
			if d := x - k; d >= 0 && d < Margin {
				v[i] = float64(float32(k + 2*Margin))
			} else if d < 0 && d > -Margin {
				v[i] = float64(float32(k - 2*Margin))
			}
		}
	}
	return v
}

// Distinct draws n numbers from about [low, high), no two closer than Margin to each
// other or to 0.
func Distinct(rng *rand.Rand, n int, low, high float64) []float64 {
	step := max((high-low)/float64(n), 2.5*Margin)
	out := make([]float64, n)
	for i, k := range rng.Perm(n) {
		out[i] = float64(float32(low + (float64(k)+0.4*rng.Float64())*step))
	}
	return Away(out, 0)
}
