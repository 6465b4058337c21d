package lower_test

import (
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
)

// norm is a batch norm of x that updates running statistics.
func (m *maker) norm(x int, name string, scale, shift int) int {
	c := m.p.Nodes[x].Shape[1]
	mean := m.op(graph.BatchMean{}, x)
	variance := m.op(graph.BatchVariance{}, x, mean)
	for what, v := range map[string]int{"mean": mean, "variance": variance} {
		m.update(parameter(name+what), m.op(graph.Axpby{A: 0.9, B: 0.1}, m.leaf(graph.State, name+what, c), v))
	}
	return m.op(graph.BatchNorm{Epsilon: 1e-5}, x, mean, variance, scale, shift)
}

// TestBatchNorm runs batch norms of one shape, some of them of the same x, scale and
// shift, for several steps. onnxruntime overwrites the statistics that a node is given,
// and merges equal constants and equal computations, so they must not share any.
func TestBatchNorm(t *testing.T) {
	for _, constant := range []bool{false, true} {
		both(t, func(t *testing.T, m *lower.Executor) {
			r := rand.New(rand.NewPCG(1, 3))
			k := &maker{t: t}
			x := k.leaf(graph.Input, "x", 2, 3, 4, 5)
			state := states{}
			leaf := func(name string) int {
				if constant {
					return k.constant(graph.Shape{3}, 1, -2, 3)
				}
				if state[parameter(name)] == nil {
					state[parameter(name)] = normal(r, 3)
				}
				return k.leaf(graph.State, name, 3)
			}
			scale, shift := leaf("scale"), leaf("shift")
			y := k.norm(x, "first", scale, shift)
			z := k.norm(k.op(graph.Relu{}, y), "second", scale, shift)
			k.output("sum", k.op(graph.Sum{}, z, k.norm(x, "third", scale, shift), k.norm(x, "fourth", leaf("other"), shift), k.norm(y, "fifth", scale, scale)))
			k.output("z", z)
			write(t, m, state)
			for range 4 {
				in := values{"x": normal(r, 120)}
				for i := range in["x"] {
					in["x"][i] = 2*in["x"][i] + 5
				}
				same(t, m, &k.p, state, in, 1e-5)
			}
		})
	}
}

// TestRules checks that the rules are used: a step of ResNet-18 has one
// BatchNormalization in training mode for each of its 20 batch norms, and one MaxPool.
func TestRules(t *testing.T) {
	n, _ := network(t, "resnet18", 10)
	p, err := n.Program(graph.Config{Batch: 2, Size: [2]int{64, 64}, Adapt: true, Train: everything}, graphtest.CrossEntropy)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config          lower.Config
		cpu             bool
		training, pools int
	}{{lower.Config{}, true, 20, 1}, {lower.Config{}, false, 0, 1}, {lower.Config{Portable: true}, true, 0, 2}} {
		m, err := lower.Model(p, c.config, c.cpu)
		if err != nil {
			t.Fatal(err)
		}
		training, pools := 0, 0
		for _, n := range m.Proto.Graph.Node {
			for _, a := range n.Attribute {
				if a.Name == "training_mode" && a.I == 1 && len(n.Output) == 3 {
					training++
				}
			}
			if n.OpType == "MaxPool" {
				pools++
			}
		}
		if training != c.training || pools != c.pools {
			t.Errorf("%+v, cpu %v: %d in training mode and %d poolings, want %d and %d", c.config, c.cpu, training, pools, c.training, c.pools)
		}
		if bad := m.Validate(); len(bad) > 0 {
			t.Errorf("%+v: %v", c.config, bad)
		}
	}
}

// TestMaxPool has two poolings of the same x, with ties, whose gradients are added.
func TestMaxPool(t *testing.T) {
	both(t, func(t *testing.T, m *lower.Executor) {
		r := rand.New(rand.NewPCG(1, 4))
		k := &maker{t: t}
		x := k.leaf(graph.Input, "x", 2, 3, 7, 6)
		windows := []graph.Window{
			{Kernel: [2]int{3, 3}, Strides: [2]int{2, 2}, Dilations: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}},
			{Kernel: [2]int{3, 3}, Strides: [2]int{2, 2}, Dilations: [2]int{1, 1}, Pads: [4]int{0, 0, 2, 2}},
		}
		pools, terms := make([]int, 2), make([]int, 2)
		for i, w := range windows {
			pools[i] = k.op(graph.MaxPool{Window: w}, x)
		}
		for i, w := range windows {
			terms[i] = k.op(graph.MaxPoolGradient{Window: w}, x, pools[i])
		}
		k.output("gradient", k.op(graph.Sum{}, terms...))
		for range 2 {
			in := values{"x": normal(r, 2*3*7*6)}
			for i := range in["x"] {
				if i%3 == 0 {
					in["x"][i] = 1
				}
			}
			same(t, m, &k.p, states{}, in, 1e-6)
		}
	})
}
