package lower_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// network is an untrained architecture, and the values of its parameters.
func network(t testing.TB, name string, classes int) (*graph.Network, states) {
	t.Helper()
	m, err := arch.Untrained(name, classes, 1, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	state := states{}
	for _, p := range n.Params() {
		if state[parameter(p.Name)], err = n.Values(p.Name); err != nil {
			t.Fatal(err)
		}
	}
	return n, state
}

func everything(graph.Param) (graph.Rule, bool) {
	return graph.Rule{LRScale: 1, WeightDecay: 5e-4}, true
}

// batch is inputs of a program.
func batch(r *rand.Rand, p *graph.Program) values {
	in := values{graph.LR: {0.01}}
	for _, i := range p.Leaves(graph.Input) {
		n := p.Nodes[i]
		switch n.Name {
		case graph.Images:
			in[n.Name] = make([]float32, n.Shape.Size())
			for k := range in[n.Name] {
				in[n.Name][k] = r.Float32()
			}
		case graphtest.Targets:
			in[n.Name] = targets(r, n.Shape[0], n.Shape[1])
		}
	}
	return in
}

// TestNetwork compares a step of ResNet-18 with the kernels: loss, weights,
// momenta, which are the gradients, and running statistics; then a short batch
// of the trained network.
func TestNetwork(t *testing.T) {
	n, state := network(t, "resnet18", 10)
	r := rand.New(rand.NewPCG(1, 1))
	c := graph.Config{Batch: 8, Size: [2]int{64, 64}, Adapt: true, Train: everything, Optimizer: graph.SGD{Momentum: 0.9}}
	train, err := n.Program(c, graphtest.CrossEntropy)
	if err != nil {
		t.Fatal(err)
	}
	short, err := n.Program(graph.Config{Batch: 3, Size: c.Size}, nil)
	if err != nil {
		t.Fatal(err)
	}
	machines := []*lower.Executor{machine(t, lower.Config{}), machine(t, lower.Config{Portable: true})}
	for _, m := range machines {
		write(t, m, state)
	}
	in := batch(r, train)
	want := []values{evaluate(train, state, in), evaluate(short, state, batch(rand.New(rand.NewPCG(2, 2)), short))}
	for i, m := range machines {
		// A run that ends early changes nothing.
		if err := m.Prepare(train); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if err := m.Run(ctx, train, in, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want %v", err, context.DeadlineExceeded)
		}
		cancel()
		for name, d := range distances(t, m, train, state, in, want[0]) {
			if !(d <= 1e-4) {
				t.Errorf("machine %d, %s: %.1e apart", i, name, d)
			}
		}
		for name, d := range distances(t, m, short, state, batch(rand.New(rand.NewPCG(2, 2)), short), want[1]) {
			if !(d <= 1e-4) {
				t.Errorf("machine %d, short batch, %s: %.1e apart", i, name, d)
			}
		}
	}
}

func write(t testing.TB, m *lower.Executor, state states) {
	t.Helper()
	for name, v := range state {
		if err := m.Write(name, v); err != nil {
			t.Fatal(err)
		}
	}
}

// TestContinue checks that two steps, the transfer of the state to another executor, and
// two more steps give the bits of four steps.
func TestContinue(t *testing.T) {
	n, state := network(t, "resnet18", 10)
	c := graph.Config{Batch: 6, Size: [2]int{64, 64}, Adapt: true, Train: everything, Optimizer: graph.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, Clip: 1, EMA: 0.9}
	p, err := n.Program(c, graphtest.CrossEntropy)
	if err != nil {
		t.Fatal(err)
	}
	in := make([]values, 4)
	for i := range in {
		in[i] = batch(rand.New(rand.NewPCG(3, uint64(i))), p)
		in[i][graph.Correction1], in[i][graph.Correction2] = []float32{0.1}, []float32{0.1}
	}
	whole, half, rest := machine(t, lower.Config{}), machine(t, lower.Config{}), machine(t, lower.Config{})
	write(t, whole, state)
	write(t, half, state)
	run := func(m *lower.Executor, in ...values) (loss []float32) {
		for _, x := range in {
			l := []float32{0}
			if err := m.Run(t.Context(), p, x, values{graph.Loss: l}); err != nil {
				t.Fatal(err)
			}
			loss = append(loss, l...)
		}
		return loss
	}
	read := func(m *lower.Executor) states {
		v := states{}
		for _, i := range p.Leaves(graph.State) {
			node := p.Nodes[i]
			v[node.Variable()] = make([]float32, node.Shape.Size())
			if err := m.Read(node.Variable(), v[node.Variable()]); err != nil {
				t.Fatal(err)
			}
		}
		return v
	}
	want := run(whole, in...)
	got := run(half, in[:2]...)
	write(t, rest, read(half))
	if got = append(got, run(rest, in[2:]...)...); !slices.Equal(got, want) {
		t.Errorf("losses %v, want %v", got, want)
	}
	after, end := read(rest), read(whole)
	for name, v := range end {
		if !slices.Equal(after[name], v) {
			t.Errorf("%s: %.1e apart", name, apart(after[name], v))
		}
	}
}
