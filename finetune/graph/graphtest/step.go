package graphtest

import (
	"math/rand/v2"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// Untrained returns an architecture with untrained weights, for images of 32x32 and
// 7 classes, and the name of the last value of its second stage.
func Untrained(name string) (n *graph.Network, middle string, err error) {
	m, err := arch.Untrained(name, 7, 1, arch.Config{InputSize: [2]int{32, 32}})
	if err != nil {
		return nil, "", err
	}
	if n, err = graph.Read(m); err != nil {
		return nil, "", err
	}
	return n, n.Spec().Stages[1].Value, nil
}

// Inputs makes random inputs for a program: images, targets and masks; all others
// are 0.001.
func Inputs(p *graph.Program, rng *rand.Rand) map[string][]float32 {
	in := map[string][]float32{}
	for _, i := range p.Leaves(graph.Input) {
		n := p.Nodes[i]
		v := make([]float32, n.Shape.Size())
		for k := range v {
			switch {
			case n.Name == graph.Images:
				v[k] = rng.Float32()
			case strings.HasPrefix(n.Name, graph.Masks):
				v[k] = float32(2 * rng.IntN(2))
			case n.Name != Targets:
				v[k] = .001
			}
		}
		if n.Name == Targets {
			for i := range n.Shape[0] {
				v[i*n.Shape[1]+rng.IntN(n.Shape[1])] = 1 / float32(n.Shape[0])
			}
		}
		in[n.Name] = v
	}
	return in
}
