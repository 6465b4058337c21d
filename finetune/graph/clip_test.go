package graph_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
)

// limits are those of a case of testdata/ops.py, and the function that it calls.
type limits struct {
	F         string
	Low, High *float64
}

func (l limits) clip() graph.Clip {
	inf := math.Inf(1)
	return graph.Clip{Low: *cmp.Or(l.Low, ptr(-inf)), High: *cmp.Or(l.High, ptr(inf)), Hard: l.F != "clamp"}
}

func ptr(v float64) *float64 { return &v }

// clipGradient is the gradient of a clip by x.
func clipGradient(t *testing.T, o graph.Clip, x, y, dy array) array {
	if o.Hard {
		return run(t, graph.ClipGradient{Low: o.Low, High: o.High}, y, dy)
	}
	return run(t, graph.ClampGradient{}, x, y, dy)
}

// TestClipAsPyTorch compares clamp, hardtanh and ReLU6 at and around their limits.
func TestClipAsPyTorch(t *testing.T) {
	for _, raw := range goldens(t).Clips {
		var l limits
		g := decode(t, raw, &l)
		o := l.clip()
		near(t, fmt.Sprintf("y of %+v", o), run(t, o, g["x"]), g["y"])
		near(t, fmt.Sprintf("dx of %+v", o), clipGradient(t, o, g["x"], g["y"], g["dy"]), g["dx"])
	}
}

// TestClampedNetwork compares the gradient by images of networks that limit them,
// in the graph or by their Spec, and their own values by an activation. Both are
// Clips, and some images equal the limits.
func TestClampedNetwork(t *testing.T) {
	for _, raw := range goldens(t).Clamped {
		var l limits
		g := decode(t, raw, &l)
		for _, inGraph := range []bool{true, false} {
			m := graphtest.NewModel(rand.New(rand.NewPCG(6, 20)), 4, 4)
			x := "images"
			if inGraph {
				x = m.Node("Clip", []string{x, m.Floats("low", []float64{*l.Low}), m.Floats("high", []float64{*l.High})})
			}
			x = m.Node("Mul", []string{x, m.Floats("scale", g["scale"].Data, 1, 3, 1, 1)})
			x = m.Node("Conv", []string{x, m.Floats("w", g["w"].Data, 4, 3, 1, 1)})
			low, high := 0., 6.
			if l.F == "hardtanh" {
				low, high = -1, 1
			}
			x = m.Node("Clip", []string{x, m.Floats("act.low", []float64{low}), m.Floats("act.high", []float64{high})})
			model := m.Case(l.F, x, 2, false, g["x"].Data).Model
			if !inGraph {
				spec, _, err := model.Spec()
				if err != nil {
					t.Fatal(err)
				}
				spec.Clamp = []float64{*l.Low, *l.High}
				if model, err = model.WithSpec(spec); err != nil {
					t.Fatal(err)
				}
			}
			n, err := graph.Read(model)
			if err != nil {
				t.Fatal(err)
			}
			p, err := n.Program(graph.Config{Batch: 2, ImageGradient: true}, weighted(g["dy"].Data))
			if err != nil {
				t.Fatal(err)
			}
			got := graphtest.Run(p, map[string][]float64{graph.Images: g["x"].Data, "w": g["w"].Data})
			what := fmt.Sprintf("%s behind a clamp to [%v,%v], in the graph %v: ", l.F, *l.Low, *l.High, inGraph)
			near(t, what+"y", array{g["y"].Shape, got["logits"]}, g["y"])
			near(t, what+"dx", array{g["x"].Shape, got["gradient/images"]}, g["dx"])
		}
	}
}

// weighted is an objective whose gradient by the results is dy.
func weighted(dy []float64) graph.Objective {
	return func(b *graph.Builder) (graph.Value, []graph.Named) {
		y := b.Results()[0]
		product := b.Apply(graph.Binary{Op: "Mul"}, y, b.Constant(y.Shape(), single(dy)...))
		return b.Apply(graph.ReduceTo{}, product), []graph.Named{{Name: "logits", Value: y}}
	}
}

// TestWhichClip tells activations and clamps apart by their limits and their place.
func TestWhichClip(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		layer     bool // in front of it
		hard      bool
	}{
		{0, 6, true, true},
		{-1, 1, true, true},
		{0, 1, true, false},
		{1e-6, 1 - 1e-6, true, false},
		{0, math.Inf(1), true, false},
		{0, 6, false, false},
		{-1, 1, false, false},
	} {
		m := graphtest.NewModel(rand.New(rand.NewPCG(6, 21)), 4, 4)
		x := m.Node("Add", []string{"images", m.Floats("shift", []float64{.5})})
		if c.layer {
			x = m.Channels(4)
		}
		in := []string{x, m.Floats("low", []float64{c.low}), ""}
		if !math.IsInf(c.high, 1) {
			in[2] = m.Floats("high", []float64{c.high})
		}
		_, p, err := m.Case("clip", m.Node("Clip", in), 2, false, nil).Program()
		if err != nil {
			t.Fatal(err)
		}
		hard, clamps := 0, 0
		for _, n := range p.Nodes {
			switch n.Op.(type) {
			case graph.ClipGradient:
				hard++
			case graph.ClampGradient:
				clamps++
			}
		}
		if want := map[bool][2]int{true: {1, 0}, false: {0, 1}}[c.hard]; want != [2]int{hard, clamps} {
			t.Errorf("%+v: %d gradients of activations and %d of clamps", c, hard, clamps)
		}
	}
}
