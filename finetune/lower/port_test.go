package lower_test

import (
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
)

// Large values are not copied: inputs keep their values, and outputs may lie in the
// memory of an input, wholly or in part.
func TestLentMemory(t *testing.T) {
	const h, w = 300, 500
	m := machine(t, lower.Config{})
	k := &maker{t: t}
	k.output("y", k.op(graph.Transpose{Perm: []int{1, 0}}, k.leaf(graph.Input, "x", h, w)))
	for name, shift := range map[string]int{"apart": h * w, "a part": 1 << 12, "the same": 0} {
		memory := make([]float32, 2*h*w)
		x, y := memory[:h*w], memory[shift:][:h*w]
		for i := range x {
			x[i] = float32(i)
		}
		was := slices.Clone(x)
		for range 2 {
			copy(x, was)
			if err := m.Run(t.Context(), &k.p, values{"x": x}, values{"y": y}); err != nil {
				t.Fatal(err)
			}
			for i, v := range y {
				if v != was[i%h*w+i/h] {
					t.Fatalf("%s: element %d is %v, expected %v", name, i, v, was[i%h*w+i/h])
				}
			}
			if shift >= h*w && !slices.Equal(x, was) {
				t.Errorf("%s: the input has changed", name)
			}
		}
	}
}
