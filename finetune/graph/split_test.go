package graph_test

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// The halves of a step compute what the whole step computes, bit for bit.
func TestSplit(t *testing.T) {
	adapt := graph.Config{Batch: 2, Adapt: true, Train: all, Optimizer: graph.SGD{Momentum: .9, Nesterov: true}}
	frozen := graph.Config{Batch: 2, Train: all, Optimizer: graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}, Clip: 1, EMA: .9}
	for name, c := range map[string]graph.Config{"resnet18": adapt, "cifar_resnet20": frozen, "mobilenet_v2": adapt, "shufflenet_v2_x1_0": adapt, "mnasnet1_0": frozen} {
		t.Run(name, func(t *testing.T) {
			n, middle, err := graphtest.Untrained(name)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := n.Program(c, graphtest.CrossEntropy)
			if err != nil {
				t.Fatal(err)
			}
			first, second, err := whole.Split(middle, graph.Logits)
			if err != nil {
				t.Fatal(err)
			}
			checkHalves(t, whole, first, second)
			var x, y tape.Executor[float32]
			defer x.Close()
			defer y.Close()
			for _, e := range []*tape.Executor[float32]{&x, &y} {
				if err := finetune.Load(n, e); err != nil {
					t.Fatal(err)
				}
			}
			for step := range 2 {
				in := graphtest.Inputs(whole, rand.New(rand.NewPCG(1, uint64(step))))
				want := outputs(whole)
				runProgram(t, &x, whole, in, want)
				got := runHalves(t, &y, first, second, in, outputs(whole))
				if got[middle] == nil {
					t.Errorf("the first half has no output %q", middle)
				}
				for name, v := range want {
					if !slices.Equal(got[name], v) || math.IsNaN(float64(v[0])) {
						t.Errorf("step %d: output %s is %v, want %v", step, name, got[name], v)
					}
				}
			}
			for _, u := range whole.Updates {
				compareVariable(t, u.Variable, whole.Nodes[u.Node].Shape.Size(), &y, &x)
			}
		})
	}
}

// checkHalves checks that the second half has all updates of the whole, that the
// first updates only what it carries over, and that each node is computed once.
func checkHalves(t *testing.T, whole, first, second *graph.Program) {
	t.Helper()
	if len(second.Updates) != len(whole.Updates) || len(first.Updates) == 0 || slices.ContainsFunc(first.Updates, func(u graph.Update) bool { return u.Slot != graph.Carried }) {
		t.Errorf("%d and %d updates of %d", len(first.Updates), len(second.Updates), len(whole.Updates))
	}
	computed := func(p *graph.Program) (n int) {
		for _, x := range p.Nodes {
			if x.Op != nil {
				n++
			}
		}
		return n
	}
	if more := computed(first) + computed(second) - computed(whole); more != 0 {
		t.Errorf("the halves compute %d nodes more than the whole", more)
	}
}

func runProgram(t *testing.T, x *tape.Executor[float32], p *graph.Program, in, out map[string][]float32) {
	t.Helper()
	if err := x.Run(context.Background(), p, in, out); err != nil {
		t.Fatal(err)
	}
}

// runHalves runs both halves and returns all their outputs; those of the whole
// program, in out, that the first half has not are the second's.
func runHalves(t *testing.T, x *tape.Executor[float32], first, second *graph.Program, in, out map[string][]float32) map[string][]float32 {
	t.Helper()
	early, late := outputs(first), map[string][]float32{}
	for name, v := range out {
		if early[name] == nil {
			late[name] = v
		}
	}
	runProgram(t, x, first, in, early)
	runProgram(t, x, second, in, late)
	maps.Copy(early, late)
	return early
}

// compareVariable wants a variable of n elements to have the same bits in two
// executors.
func compareVariable(t *testing.T, v graph.Variable, n int, got, want *tape.Executor[float32]) {
	t.Helper()
	a, b := make([]float32, n), make([]float32, n)
	if err := want.Read(v, a); err != nil {
		t.Fatal(err)
	}
	if err := got.Read(v, b); err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("%s differs: [%d] is %v, want %v", v, i, b[i], a[i])
			break
		}
	}
}

// outputs allocates memory for the outputs of a program.
func outputs(p *graph.Program) map[string][]float32 {
	out := map[string][]float32{}
	for _, o := range p.Outputs {
		out[o.Name] = make([]float32, p.Nodes[o.Node].Shape.Size())
	}
	return out
}

func TestSplitErrors(t *testing.T) {
	n, _, err := graphtest.Untrained("cifar_resnet20")
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.Program(graph.Config{Batch: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Split("nothing"); err == nil {
		t.Error("no error for a value that is not there")
	}
	if _, _, err := p.Split(); err == nil {
		t.Error("no error for a cut at nothing")
	}
}

// What an objective must not do, and what no program can be cut at, are errors.
func TestBuilderRefuses(t *testing.T) {
	n, middle, err := graphtest.Untrained("cifar_resnet20")
	if err != nil {
		t.Fatal(err)
	}
	out := func(v ...graph.Named) graph.Objective {
		return func(b *graph.Builder) (graph.Value, []graph.Named) {
			for i := range v {
				if v[i].Name != "none" {
					v[i].Value = b.Results()[0]
				}
			}
			return graph.Value{}, v
		}
	}
	for want, o := range map[string]graph.Objective{
		`output "none" has no value`: out(graph.Named{Name: "none"}),
		"two of this name":           out(graph.Named{Name: "y"}, graph.Named{Name: "y"}),
		"the model has one of this name": func(b *graph.Builder) (graph.Value, []graph.Named) {
			p := n.Params()[0]
			return graph.Value{}, []graph.Named{{Name: "w", Value: b.Param(p, make([]float32, p.Shape.Size()))}}
		},
		"the loss does not depend on the parameter": func(b *graph.Builder) (graph.Value, []graph.Named) {
			return b.Apply(graph.ReduceTo{Shape: graph.Shape{}}, b.Value(middle)), nil
		},
	} {
		if _, err := n.Program(graph.Config{Batch: 2, Train: all}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	p, err := n.Program(graph.Config{Batch: 2, Train: all}, graphtest.CrossEntropy)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Split(""); err == nil {
		t.Error("a program was cut at a value without a name")
	}
}
