package lower_test

import (
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
)

// TestCases compares the logits, the loss and all gradients of each operator with
// those of the Go kernels.
func TestCases(t *testing.T) {
	for _, config := range []lower.Config{{}, {Portable: true}} {
		cases := graphtest.Cases(rand.New(rand.NewPCG(6, 1)))
		if len(cases) < 40 {
			t.Errorf("%d cases", len(cases))
		}
		for _, c := range cases {
			n, p, err := c.Program()
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				continue
			}
			wide, err := c.Feed(n, p, rand.New(rand.NewPCG(6, 2)))
			if err != nil {
				t.Fatal(err)
			}
			in, state := values{}, states{}
			for _, i := range append(p.Leaves(graph.Input), p.Leaves(graph.State)...) {
				n := p.Nodes[i]
				v := make([]float32, n.Shape.Size())
				for k, x := range wide[n.Variable().String()] {
					v[k] = float32(x)
				}
				if in[n.Name] = v; n.Role == graph.State {
					state[n.Variable()] = v
				}
			}
			// Parameters of different cases have the same names.
			m := machine(t, config)
			write(t, m, state)
			for name, d := range distances(t, m, p, state, in, evaluate(p, state, in)) {
				if !(d <= 1e-4) {
					t.Errorf("%+v, %s, %s: %.1e apart", config, c.Name, name, d)
				}
			}
			m.Close()
		}
	}
}
