package graph_test

import (
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// Every architecture can be trained, and the nodes of its training graph have distinct
// hashes: otherwise Program fails.
func TestArchitectures(t *testing.T) {
	for _, name := range arch.Names {
		t.Run(name, func(t *testing.T) {
			m, err := arch.Synthetic(name, 10)
			if err != nil {
				t.Fatal(err)
			}
			n, err := graph.Read(m)
			if err != nil {
				t.Fatal(err)
			}
			p, err := n.Program(graph.Config{Batch: 4, Adapt: true, Train: all, Optimizer: graph.SGD{Momentum: .9}}, graphtest.CrossEntropy)
			if err != nil {
				t.Fatal(err)
			}
			trained := 0
			for _, x := range n.Params() {
				if !x.Kind.Statistic() {
					trained++
				}
			}
			if want := len(n.Params()) + trained; len(p.Updates) != want { // weights, momenta and statistics
				t.Errorf("%d updates, want %d", len(p.Updates), want)
			}
			if got, want := len(n.Params()), len(m.Tensors()); got > want || got < want-2 { // those of a normalisation are not parameters
				t.Errorf("%d parameters of %d tensors", got, want)
			}
		})
	}
}

func all(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true }
