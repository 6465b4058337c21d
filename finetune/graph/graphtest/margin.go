package graphtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// margins are cases of the margin losses, of logits that are the pixels. The label of
// the first row has the largest logit, that of the second the third largest, that of
// the third a small one; the fourth row does not count.
func margins(rng *rand.Rand) (out []Case) {
	const rows, classes = 4, 12
	for _, scaled := range []bool{false, true} {
		for _, targeted := range []bool{false, true} {
			for _, by := range []float64{1, -2} {
				m := NewModel(rng, 2, 2)
				x := m.Node("Flatten", []string{"images"}, onnx.Int("axis", 1))
				c := m.Case(fmt.Sprintf("Margin, scaled %v, targets %v, times %v", scaled, targeted, by), x, rows, false, Distinct(rng, rows*classes, .1, 2))
				c.Inputs = map[string][]float64{"labels": make([]float64, rows*classes), "aims": make([]float64, rows*classes)}
				for i, rank := range []int{0, 2, 7} {
					order := ranked(c.Images[i*classes:][:classes])
					c.Inputs["labels"][i*classes+order[rank]] = 1
					c.Inputs["aims"][i*classes+order[[]int{1, 0, 3}[i]]] = 1
				}
				others := []string{"labels", "aims"}
				if !targeted {
					others = others[:1]
				}
				c.Objective = lossOf(graph.Margin{Scaled: scaled}, x, by, others...)
				out = append(out, c)
			}
		}
	}
	return out
}

// ranked are the indices of values in descending order.
func ranked(v []float64) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	for i := range order {
		for j := i; j > 0 && v[order[j]] > v[order[j-1]]; j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	return order
}
