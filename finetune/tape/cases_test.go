package tape_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// The tape computes exactly what the ops compute one after the other: no node is merged
// or overwritten by another, not even in a second run. finetune/graph tests the ops'
// gradients by central differences on the same networks.
func TestCases(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range graphtest.Cases(r) {
		t.Run(c.Name, func(t *testing.T) {
			n, p, err := c.Program()
			if err != nil {
				t.Fatal(err)
			}
			var m tape.Executor[float64]
			defer m.Close()
			for range 2 {
				in, err := c.Feed(n, p, r)
				if err != nil {
					t.Fatal(err)
				}
				want := graphtest.Run(p, in)
				out := map[string][]float64{}
				for _, o := range p.Outputs {
					out[o.Name] = make([]float64, len(want[o.Name]))
				}
				for _, i := range p.Leaves(graph.State) {
					if err := m.Write(p.Nodes[i].Variable(), in[p.Nodes[i].Variable().String()]); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.Run(context.Background(), p, in, out); err != nil {
					t.Fatal(err)
				}
				for _, u := range p.Updates {
					name := u.Variable.String()
					out[name] = make([]float64, len(want[name]))
					if err := m.Read(u.Variable, out[name]); err != nil {
						t.Fatal(err)
					}
				}
				for name, v := range want {
					if !slices.Equal(out[name], v) {
						t.Errorf("%s: %v, want %v", name, out[name], v)
					}
				}
			}
		})
	}
}
