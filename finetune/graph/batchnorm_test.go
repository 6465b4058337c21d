package graph_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/onnx"
)

// TestBatchNormAsPyTorch compares values, gradients and running statistics in both
// modes with PyTorch.
func TestBatchNormAsPyTorch(t *testing.T) {
	const epsilon = 1e-3
	for i, raw := range goldens(t).Norms {
		var c struct{ Adapt bool }
		g := decode(t, raw, &c)
		x, scale, shift, mean, variance, dy := g["x"], g["scale"], g["shift"], g["mean"], g["variance"], g["dy"]
		check := func(name string, got array) { near(t, fmt.Sprintf("%s of norm %d", name, i), got, g[name]) }
		dshift := run(t, graph.ChannelSum{}, dy)
		check("dshift", dshift)
		if c.Adapt {
			mean = run(t, graph.BatchMean{}, x)
			variance = run(t, graph.BatchVariance{}, x, mean)
		}
		dscale := run(t, graph.BatchNormGradientScale{Epsilon: epsilon}, x, mean, variance, dy)
		check("dscale", dscale)
		if !c.Adapt {
			check("y", run(t, graph.BatchNormFrozen{Epsilon: epsilon}, x, scale, shift, mean, variance))
			check("dx", run(t, graph.BatchNormFrozenGradientInput{Epsilon: epsilon}, dy, scale, variance))
		} else {
			check("y", run(t, graph.BatchNorm{Epsilon: epsilon}, x, mean, variance, scale, shift))
			check("dx", run(t, graph.BatchNormGradientInput{Epsilon: epsilon}, x, mean, variance, scale, dy, dscale, dshift))
		}
		for name, v := range statistics(t, g, graph.Config{Adapt: c.Adapt}) {
			check("next"+name, v)
		}
	}
}

// statistics runs a network of a golden's batch norm, with PyTorch's momentum .25, and
// returns the running statistics afterwards.
func statistics(t *testing.T, g map[string]array, config graph.Config) map[string]array {
	t.Helper()
	x := g["x"]
	batch, h, w := x.Shape[0], 2, 2
	if len(x.Shape) == 4 {
		h, w = x.Shape[2], x.Shape[3]
	}
	m := graphtest.NewModel(rand.New(rand.NewPCG(6, 5)), h, w)
	in := []string{"images"}
	if len(x.Shape) == 2 {
		in[0] = m.Node("Flatten", in, onnx.Int("axis", 1))
	}
	for _, name := range []string{"scale", "shift", "mean", "variance"} {
		in = append(in, m.Floats(name, g[name].Data, g[name].Shape...))
	}
	y := m.Node("BatchNormalization", in, onnx.Float("epsilon", 1e-3), onnx.Float("momentum", 0.75))
	c := m.Case("statistics", y, batch, config.Adapt, x.Data)
	n, err := graph.Read(c.Model)
	if err != nil {
		t.Fatal(err)
	}
	config.Batch = batch
	p, err := n.Program(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	feed, err := c.Feed(n, p, rand.New(rand.NewPCG(6, 6)))
	if err != nil {
		t.Fatal(err)
	}
	if config.Cumulative {
		feed[graph.Momentum] = []float64{0.5}
	}
	results := graphtest.Run(p, feed)
	out := map[string]array{}
	for _, name := range []string{"mean", "variance"} {
		out[name] = g[name]
		if v, ok := results[name]; ok {
			out[name] = array{g[name].Shape, v}
		} else if config.Adapt {
			t.Errorf("the running %s is not re-estimated", name)
		}
	}
	return out
}

// TestCumulativeStatistics checks that the weight of the batch is an input. With .5,
// statistics move twice as far as with PyTorch's .25.
func TestCumulativeStatistics(t *testing.T) {
	for i, raw := range goldens(t).Norms {
		var c struct{ Adapt bool }
		if g := decode(t, raw, &c); c.Adapt {
			for name, v := range statistics(t, g, graph.Config{Adapt: true, Cumulative: true}) {
				want := array{v.Shape, slices.Clone(g["next"+name].Data)}
				for k, old := range g[name].Data {
					want.Data[k] += want.Data[k] - old
				}
				near(t, fmt.Sprintf("%s of norm %d", name, i), v, want)
			}
		}
	}
}

// A batch norm that is used twice in a network takes the statistics of both uses: one
// after the other, as in PyTorch, or their mean where the weight of the batch is given.
func TestSharedStatistics(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 10))
	m := graphtest.NewModel(rng, 2, 2)
	norm := []string{"images", m.Weights("scale", .5, 1, 3), m.Weights("shift", 1, 2, 3), m.Floats("mean", []float64{1, 2, 3}, 3), m.Floats("variance", []float64{1, 2, 3}, 3)}
	once := m.Node("BatchNormalization", norm, onnx.Float("momentum", .75))
	norm[0] = m.Node("Mul", []string{once, once})
	c := m.Case("shared", m.Node("BatchNormalization", norm, onnx.Float("momentum", .75)), 3, true, nil)
	n, err := graph.Read(c.Model)
	if err != nil {
		t.Fatal(err)
	}
	for _, cumulative := range []bool{false, true} {
		p, err := n.Program(graph.Config{Batch: 3, Adapt: true, Cumulative: cumulative}, nil)
		if err != nil {
			t.Fatal(err)
		}
		feed, err := c.Feed(n, p, rng)
		if err != nil {
			t.Fatal(err)
		}
		x := array{graph.Shape{3, 3, 2, 2}, slices.Clone(c.Images)}
		var means [2]array
		for i := range means {
			means[i] = run(t, graph.BatchMean{}, x)
			variance := run(t, graph.BatchVariance{}, x, means[i])
			y := run(t, graph.BatchNorm{Epsilon: 1e-5}, x, means[i], variance, array{graph.Shape{3}, feed["scale"]}, array{graph.Shape{3}, feed["shift"]})
			x = run(t, graph.Binary{Op: "Mul"}, y, y)
		}
		if _, asked := feed[graph.Momentum]; asked != cumulative {
			t.Errorf("cumulative %v, asked for the weight %v", cumulative, asked)
		}
		want := array{graph.Shape{3}, make([]float64, 3)}
		for k, old := range feed["mean"] {
			a, b := means[0].Data[k], means[1].Data[k]
			if want.Data[k] = .75*(.75*old+.25*a) + .25*b; cumulative { // Feed's weight is .25
				want.Data[k] = .75*old + .25*(a+b)/2
			}
		}
		near(t, fmt.Sprintf("the mean, cumulative %v", cumulative), array{graph.Shape{3}, graphtest.Run(p, feed)["mean"]}, want)
	}
}

// TestBatchNormFarFromZero checks that float32 statistics stay precise for a large mean,
// as the mean square minus the squared mean would not.
func TestBatchNormFarFromZero(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 7))
	x := array{graph.Shape{4, 2, 8, 8}, graphtest.Uniform(rng, 512, 999.5, 1000.5)}
	mean := run(t, graph.BatchMean{}, x)
	variance := run(t, graph.BatchVariance{}, x, mean)
	for _, v := range variance.Data {
		if v < 0.07 || v > 0.1 {
			t.Errorf("the variance is %v, expected about 1/12", v)
		}
	}
}

func TestBatchNormErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 8))
	network := func(h, w, channels int) (*graph.Network, error) {
		m := graphtest.NewModel(rng, h, w)
		in := []string{"images"}
		for _, name := range []string{"scale", "shift", "mean", "variance"} {
			in = append(in, m.Weights(name, 0.5, 1, channels))
		}
		return graph.Read(m.Case("errors", m.Node("BatchNormalization", in), 1, true, nil).Model)
	}
	if _, err := network(2, 2, 4); err == nil || !strings.Contains(err.Error(), "expected [3] for all but the first") {
		t.Error(err)
	}
	n, err := network(1, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Program(graph.Config{Batch: 1, Adapt: true}, nil); err == nil || !strings.Contains(err.Error(), "Expected more than 1 value per channel") {
		t.Error(err)
	}
	if _, err := n.Program(graph.Config{Batch: 1}, nil); err != nil {
		t.Error(err)
	}
}

// TestStatisticsOnly checks which programs re-estimate statistics: neither frozen ones
// nor those that evaluate averages.
func TestStatisticsOnly(t *testing.T) {
	var c graphtest.Case
	for _, c = range graphtest.Cases(rand.New(rand.NewPCG(6, 9))) {
		if strings.HasPrefix(c.Name, "batch norm") {
			break
		}
	}
	n, err := graph.Read(c.Model)
	if err != nil {
		t.Fatal(err)
	}
	all := func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true }
	for _, k := range []struct {
		config  graph.Config
		updates int
		op      string
	}{
		{graph.Config{}, 0, "graph.BatchNormFrozen"},
		{graph.Config{Adapt: true}, 2, "graph.BatchMean"},
		{graph.Config{Train: all}, 0, "graph.BatchNormFrozen"},
		{graph.Config{Adapt: true, Train: all, Averaged: true}, 0, "graph.BatchNormFrozen"},
	} {
		k.config.Batch = 2
		p, err := n.Program(k.config, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Updates) != k.updates || !strings.Contains(p.String(), k.op) || !strings.Contains(p.String(), "{Epsilon:0.001}") {
			t.Errorf("%+v: %d updates, expected %d, %s and an epsilon of 0.001 in\n%s", k.config, len(p.Updates), k.updates, k.op, p)
		}
	}
}
