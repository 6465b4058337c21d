package graph_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// TestMarginAsPyTorch: the margin and the difference of logits ratio, with and without
// targets, and a row that does not count.
func TestMarginAsPyTorch(t *testing.T) {
	var all struct{ Margin []json.RawMessage }
	text, err := os.ReadFile("testdata/margin.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all.Margin) != 4 {
		t.Fatalf("testdata/margin.json: %d cases, %v", len(all.Margin), err)
	}
	for _, raw := range all.Margin {
		var o graph.Margin
		g := decode(t, raw, &o)
		in := []array{g["x"], g["labels"]}
		targets, targeted := g["targets"]
		if targeted {
			in = append(in, targets)
		}
		name := fmt.Sprintf("%+v, targets %v", o, targeted)
		near(t, "y of "+name, run(t, o, in...), g["y"])
		near(t, "dx of "+name, run(t, graph.MarginGradient{Margin: o, Targets: targeted}, in...), g["dx"])
		near(t, "dx of "+name, run(t, graph.MarginGradient{Margin: o, Targets: targeted}, append(in, scalar(-2))...), times(-2, g["dx"]))
	}
}

// TestMarginRefused: fewer classes than a spread needs, and shapes that do not fit.
func TestMarginRefused(t *testing.T) {
	two, three := graph.Shape{4, 2}, graph.Shape{4, 3}
	for _, c := range []struct {
		graph.Margin
		in []graph.Shape
	}{
		{graph.Margin{}, []graph.Shape{two}}, {graph.Margin{}, []graph.Shape{two, three}}, {graph.Margin{}, []graph.Shape{{4}, {4}}},
		{graph.Margin{Scaled: true}, []graph.Shape{two, two}}, {graph.Margin{Scaled: true}, []graph.Shape{three, three, three}},
	} {
		if s, err := c.Infer(c.in); err == nil {
			t.Errorf("%+v of %v has the shape %v", c.Margin, c.in, s)
		}
	}
}
