package graph_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
)

// TestInstanceNormParameters: scale and shift of instance norms and of group norms are
// parameters, and the constants of ones and zeros in a group norm are not.
func TestInstanceNormParameters(t *testing.T) {
	tried := 0
	for _, c := range graphtest.Cases(rand.New(rand.NewPCG(6, 1))) {
		if !strings.HasPrefix(c.Name, "InstanceNorm") && !strings.HasPrefix(c.Name, "group norm") {
			continue
		}
		tried++
		n, _, err := c.Program()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]graph.Kind{}
		for _, p := range n.Params() {
			got[p.Name] = p.Kind
		}
		delete(got, "channels.weight")
		if scale, ok := got["scale"]; len(got) != 2 || !ok || scale != graph.Scale || got["shift"] != graph.Shift {
			t.Errorf("%s: parameters %v, want a scale and a shift", c.Name, got)
		}
	}
	if tried != 3 {
		t.Errorf("%d cases, want 3", tried)
	}
}

// TestScaledConstants: products and sums with initializers are constants where no
// group norm is before them.
func TestScaledConstants(t *testing.T) {
	m := graphtest.NewModel(rand.New(rand.NewPCG(6, 1)), 3, 4)
	x := m.Node("Reshape", []string{m.Channels(6), m.Ints("shape", 0, 6, -1)})
	x = m.Node("Mul", []string{x, m.Weights("scale", .5, 1, 6, 1)})
	x = m.Node("Add", []string{x, m.Weights("shift", .5, 1, 6, 1)})
	n, err := graph.Read(m.Case("constants", x, 2, false, nil).Model)
	if err != nil {
		t.Fatal(err)
	}
	if p := n.Params(); len(p) != 1 || slices.ContainsFunc(p, func(p graph.Param) bool { return p.Name != "channels.weight" }) {
		t.Errorf("parameters %+v, want only the weight", p)
	}
}
