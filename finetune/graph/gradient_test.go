package graph_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
)

// TestGradients compares every gradient with central differences of the loss, in
// float64.
func TestGradients(t *testing.T) {
	const step, most = 1e-5, 64 // most: elements of each tensor that are tested
	rng := rand.New(rand.NewPCG(6, 1))
	for _, c := range graphtest.Cases(rng) {
		t.Run(c.Name, func(t *testing.T) {
			n, p, err := c.Program()
			if err != nil {
				t.Fatal(err)
			}
			feed, err := c.Feed(n, p, rng)
			if err != nil {
				t.Fatal(err)
			}
			gradients := graphtest.Run(p, feed)
			loss := func() float64 { return graphtest.Run(p, feed, graph.Loss)[graph.Loss][0] }
			tried := 0
			for _, name := range slices.Sorted(func(yield func(string) bool) {
				for name := range gradients {
					if name, ok := strings.CutPrefix(name, graph.Gradient); ok && !yield(name) {
						return
					}
				}
			}) {
				tried++
				x, all := feed[name], gradients[graph.Gradient+name]
				size := 0.0
				for _, v := range all {
					size = max(size, math.Abs(v))
				}
				if size == 0 {
					t.Errorf("the gradient by %s is 0", name)
				}
				for _, i := range rng.Perm(len(x))[:min(most, len(x))] {
					old := x[i]
					x[i] = old + step
					up := loss()
					x[i] = old - step
					down := loss()
					x[i] = old
					if want := (up - down) / (2 * step); !(math.Abs(all[i]-want) <= 1e-6*size) {
						t.Fatalf("gradient by %s[%d] is %g, central difference %g, largest %g", name, i, all[i], want, size)
					}
				}
			}
			if tried < 1 {
				t.Errorf("no gradients")
			}
		})
	}
}
