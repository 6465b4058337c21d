package lower_test

import (
	"fmt"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
)

// BenchmarkSGD is the update of five weights of 512x512x3x3, as ResNet-18 has.
func BenchmarkSGD(b *testing.B) {
	for _, c := range []lower.Config{{Portable: true}, {}} {
		b.Run(fmt.Sprintf("portable=%v", c.Portable), func(b *testing.B) {
			k := &maker{t: b}
			lr := k.leaf(graph.Input, graph.LR, 1)
			for i := range 5 {
				w, g, m := fmt.Sprint("w", i), fmt.Sprint("g", i), fmt.Sprint("m", i)
				shape := []int{512, 512, 3, 3}
				leaf, gradient := k.leaf(graph.State, w, shape...), k.leaf(graph.State, g, shape...)
				first := k.op(graph.Axpy{A: 0.9}, k.leaf(graph.State, m, shape...), k.op(graph.Axpy{A: 5e-4}, leaf, gradient))
				k.update(parameter(w), k.op(graph.SGDStep{LRScale: 1}, leaf, first, lr))
				k.update(parameter(m), first)
			}
			m := machine(b, c)
			in := values{graph.LR: {0.1}}
			for b.Loop() {
				if err := m.Run(b.Context(), &k.p, in, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
