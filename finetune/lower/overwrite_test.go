package lower_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// TestOverwrite updates variables that other nodes read, before the update or after it,
// and wants the values of the Go kernels, which have memory of their own for each.
func TestOverwrite(t *testing.T) {
	for name, c := range map[string]struct {
		build   func(m *maker, w, x int)
		buffers int
	}{
		"nothing depends on the update": {func(m *maker, w, x int) {
			m.update(parameter("w"), m.op(graph.Axpy{A: .5}, w, x))
			y := m.op(graph.MatMul{}, m.op(graph.Relu{}, w), w)
			m.output("y", m.op(graph.MatMul{}, y, y))
		}, 1},
		"the update does not read it": {func(m *maker, w, x int) {
			m.update(parameter("w"), m.op(graph.Relu{}, x))
			m.output("y", m.op(graph.MatMul{}, w, x))
		}, 1},
		"a product with itself": {func(m *maker, w, x int) {
			m.update(parameter("w"), m.op(graph.MatMul{}, w, w))
			m.output("y", m.op(graph.Relu{}, w))
		}, 2},
		"old and new are added": {func(m *maker, w, x int) {
			next := m.op(graph.Axpy{A: .5}, w, x)
			m.update(parameter("w"), next)
			m.output("y", m.op(graph.Sum{}, w, m.op(graph.Relu{}, next)))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, m *lower.Executor) {
				r := rand.New(rand.NewPCG(5, 6))
				k := &maker{t: t}
				w := k.leaf(graph.State, "w", 8, 8)
				c.build(k, w, k.leaf(graph.Input, "x", 8, 8))
				state := states{parameter("w"): normal(r, 64)}
				write(t, m, state)
				for range 4 {
					same(t, m, &k.p, state, values{"x": normal(r, 64)}, 1e-5)
				}
				if n := m.Buffers(parameter("w")); n != c.buffers || graph.Overwrites(&k.p, k.p.Updates[0]) != (n == 1) {
					t.Errorf("%d buffers, want %d", n, c.buffers)
				}
			})
		})
	}
}

// Updates of variables by themselves, and updates that would have to wait for one another,
// are computed as by the Go kernels, whatever has a second buffer then.
func TestOverwriteNot(t *testing.T) {
	for name, build := range map[string]func(m *maker, a, b, x int){
		"a sum with itself": func(m *maker, a, _, x int) {
			m.update(parameter("a"), m.op(graph.Sum{}, a, a))
			m.output("y", m.op(graph.MatMul{}, a, x))
		},
		"each update waits for the other": func(m *maker, a, b, x int) {
			nextA, nextB := m.op(graph.Axpy{A: .5}, a, x), m.op(graph.Axpy{A: .5}, b, x)
			m.update(parameter("a"), nextA)
			m.update(parameter("b"), nextB)
			m.output("y", m.op(graph.MatMul{}, a, nextB))
			m.output("z", m.op(graph.MatMul{}, b, nextA))
		},
		"a variable becomes another, which is updated": func(m *maker, a, b, _ int) {
			m.update(parameter("a"), m.op(graph.Reshape{Shape: graph.Shape{8, 8}}, b))
			m.update(parameter("b"), m.op(graph.Relu{}, m.op(graph.MatMul{}, a, b)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, m *lower.Executor) {
				r := rand.New(rand.NewPCG(5, 6))
				k := &maker{t: t}
				a, b, x := k.leaf(graph.State, "a", 8, 8), k.leaf(graph.State, "b", 8, 8), k.leaf(graph.Input, "x", 8, 8)
				build(k, a, b, x)
				state := states{parameter("a"): normal(r, 64), parameter("b"): normal(r, 64)}
				write(t, m, state)
				for range 3 {
					same(t, m, &k.p, state, values{"x": normal(r, 64)}, 1e-5)
				}
			})
		})
	}
}

// Random programs of variables that are read, updated and read again have the values of
// the Go kernels.
func TestOverwriteRandom(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 6))
		k := &maker{t: t}
		var nodes []int
		state := states{}
		variables := 1 + r.IntN(3)
		for i := range variables {
			name := fmt.Sprint("w", i)
			nodes, state[parameter(name)] = append(nodes, k.leaf(graph.State, name, 4, 4)), normal(r, 16)
		}
		nodes = append(nodes, k.leaf(graph.Input, "x", 4, 4))
		pick := func() int {
			if r.IntN(2) == 0 {
				return nodes[r.IntN(variables)]
			}
			return nodes[r.IntN(len(nodes))]
		}
		for range 2 + r.IntN(10) {
			switch r.IntN(6) {
			case 0:
				nodes = append(nodes, k.op(graph.Relu{}, pick()))
			case 1:
				nodes = append(nodes, k.op(graph.MatMul{}, pick(), pick()))
			case 2:
				nodes = append(nodes, k.op(graph.Axpy{A: .5}, pick(), pick()))
			case 3:
				nodes = append(nodes, k.op(graph.Transpose{Perm: []int{1, 0}}, pick()))
			case 4:
				nodes = append(nodes, k.op(graph.Reshape{Shape: graph.Shape{4, 4}}, pick()))
			case 5:
				nodes = append(nodes, k.op(graph.Sum{}, pick(), pick()))
			}
		}
		last := func() int { return nodes[len(nodes)-1-r.IntN(min(len(nodes), 5))] }
		for i := range variables {
			k.update(parameter(fmt.Sprint("w", i)), last())
		}
		k.output("y", last())
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := machine(t, lower.Config{})
			write(t, m, state)
			same(t, m, &k.p, state, values{"x": normal(r, 16)}, 1e-4)
		})
	}
}

// TestUpdatesOverwrite wants all parameters and moments of networks to be updated in
// place, by each optimizer and with averages: whatever reads them comes before, by the
// model that is run.
func TestUpdatesOverwrite(t *testing.T) {
	n, _ := network(t, "resnet18", 10)
	for name, c := range map[string]graph.Config{
		"sgd":      {Optimizer: graph.SGD{Momentum: .9}},
		"nesterov": {Optimizer: graph.SGD{Momentum: .9, Nesterov: true}, EMA: .9, Adapt: true},
		"adamw":    {Optimizer: graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}, Clip: 1},
	} {
		c.Batch, c.Size, c.Train = 2, [2]int{64, 64}, everything
		p, err := n.Program(c, graphtest.CrossEntropy)
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range []lower.Config{{}, {Portable: true}} {
			m, err := lower.Model(p, config, true)
			if err != nil {
				t.Fatal(err)
			}
			if bad := m.Validate(); len(bad) > 0 {
				t.Errorf("%s: %v", name, bad)
			}
			o := runtime.NewOverwrites(m)
			read := map[graph.Variable]bool{}
			for _, i := range p.Leaves(graph.State) {
				read[p.Nodes[i].Variable()] = true
			}
			for _, u := range p.Updates {
				variable := u.Slot.String() + "/" + u.Name
				if later, possible := o.Before("next "+variable, variable); read[u.Variable] && (!possible || len(later) > 0) {
					t.Errorf("%s: %s may be read after its update: by %v; possible %v", name, variable, later, possible)
				}
				if read[u.Variable] && !graph.Overwrites(p, u) {
					t.Errorf("%s: %s is taken for one with two buffers", name, variable)
				}
			}
		}
	}
}
