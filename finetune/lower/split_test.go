package lower_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
)

// The halves of a step give the bits of the whole. After a cut, the gradient of a max
// pooling finds the largest values itself, which is the same computation. Should
// tensors differ nevertheless, they are logged, and may differ by at most 1e-6.
func TestSplit(t *testing.T) {
	for _, name := range []string{"resnet18", "cifar_resnet20", "mobilenet_v2", "shufflenet_v2_x1_0", "densenet161"} {
		if testing.Short() && name == "densenet161" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, c := range []lower.Config{{}, {Portable: true}} {
				n, middle, err := graphtest.Untrained(name)
				if err != nil {
					t.Fatal(err)
				}
				p, err := n.Program(graph.Config{Batch: 4, Adapt: true, Train: everything, Optimizer: graph.SGD{Momentum: .9}}, graphtest.CrossEntropy)
				if err != nil {
					t.Fatal(err)
				}
				first, second, err := p.Split(middle)
				if err != nil {
					t.Fatal(err)
				}
				whole, halves := machine(t, c), machine(t, c)
				for _, x := range []*lower.Executor{whole, halves} {
					if err := finetune.Load(n, x); err != nil {
						t.Fatal(err)
					}
				}
				in := graphtest.Inputs(p, rand.New(rand.NewPCG(1, 1)))
				want, got := values{graph.Loss: {0}}, values{graph.Loss: {0}}
				for range 2 {
					for _, err := range []error{whole.Run(t.Context(), p, in, want), halves.Run(t.Context(), first, in, nil), halves.Run(t.Context(), second, in, got)} {
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				for _, u := range first.Updates {
					if n := halves.Buffers(u.Variable); n != 1 {
						t.Fatalf("%s, which one half writes and the other reads, has %d buffers", u.Variable, n)
					}
				}
				if w := (graph.Variable{Name: n.Params()[0].Name}); halves.Buffers(w) != 1 {
					t.Errorf("%s, which is updated in place, has %d buffers", w, halves.Buffers(w))
				}
				far := distancesBetween(t, p, halves, whole)
				far[graph.Loss] = apart(got[graph.Loss], want[graph.Loss])
				for _, v := range slices.Sorted(maps.Keys(far)) {
					if far[v] == 0 {
						continue
					}
					if t.Logf("%+v, %s: %.1e apart", c, v, far[v]); far[v] > 1e-6 {
						t.Errorf("%s: %.1e apart, at most 1e-6", v, far[v])
					}
				}
			}
		})
	}
}

// distancesBetween compares the variables that a program updates in two executors.
func distancesBetween(t *testing.T, p *graph.Program, got, want *lower.Executor) map[string]float64 {
	t.Helper()
	far := map[string]float64{}
	for _, u := range p.Updates {
		a, b := make([]float32, p.Nodes[u.Node].Shape.Size()), make([]float32, p.Nodes[u.Node].Shape.Size())
		if err := want.Read(u.Variable, a); err != nil {
			t.Fatal(err)
		}
		if err := got.Read(u.Variable, b); err != nil {
			t.Fatal(err)
		}
		far[u.Variable.String()] = apart(b, a)
	}
	return far
}

// What a split carries is freed with the second of its programs to be forgotten,
// and comes back when they run again.
func TestForgetSplit(t *testing.T) {
	n, middle, err := graphtest.Untrained("cifar_resnet20")
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.Program(graph.Config{Batch: 2, Train: everything, Optimizer: graph.SGD{}}, graphtest.CrossEntropy)
	if err != nil {
		t.Fatal(err)
	}
	first, second, err := p.Split(middle)
	if err != nil {
		t.Fatal(err)
	}
	x := machine(t, lower.Config{})
	if err := finetune.Load(n, x); err != nil {
		t.Fatal(err)
	}
	carried, weight := first.Updates[0].Variable, graph.Variable{Name: n.Params()[0].Name}
	in := graphtest.Inputs(p, rand.New(rand.NewPCG(1, 1)))
	for range 2 {
		for _, half := range []*graph.Program{first, second} {
			if err := x.Run(t.Context(), half, in, nil); err != nil {
				t.Fatal(err)
			}
		}
		for left, half := range []*graph.Program{second, first} {
			if n := x.Buffers(carried); n != 1 {
				t.Errorf("%s has %d buffers, and %d programs know it", carried, n, 2-left)
			}
			if err := x.Forget(half); err != nil {
				t.Fatal(err)
			}
		}
		if n := x.Buffers(carried); n != 0 || x.Buffers(weight) == 0 {
			t.Errorf("%s has %d buffers after both programs are forgotten, %s %d", carried, n, weight, x.Buffers(weight))
		}
	}
}
