package lower_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

var _ finetune.Executor = (*lower.Executor)(nil)

func machine(t testing.TB, c lower.Config) *lower.Executor {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	m, err := lower.Open(runtime.Options{Library: lib, Device: "cpu"}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// both runs a test with and without pattern rules.
func both(t *testing.T, f func(t *testing.T, m *lower.Executor)) {
	t.Helper()
	for _, c := range []lower.Config{{}, {Portable: true}} {
		t.Run(fmt.Sprintf("portable=%v", c.Portable), func(t *testing.T) { f(t, machine(t, c)) })
	}
}

// maker writes programs by hand.
type maker struct {
	t testing.TB
	p graph.Program
}

func (m *maker) leaf(role graph.Role, name string, shape ...int) int {
	m.p.Nodes = append(m.p.Nodes, graph.Node{Shape: shape, Role: role, Name: name})
	return len(m.p.Nodes) - 1
}

func (m *maker) constant(shape graph.Shape, data ...float32) int {
	i := m.leaf(graph.Constant, fmt.Sprint("constant", len(m.p.Nodes)), shape...)
	m.p.Nodes[i].Data = data
	return i
}

func (m *maker) op(op graph.Op, in ...int) int {
	m.t.Helper()
	var shapes []graph.Shape
	for _, i := range in {
		shapes = append(shapes, m.p.Nodes[i].Shape)
	}
	shape, err := op.Infer(shapes)
	if err != nil {
		m.t.Fatal(err)
	}
	m.p.Nodes = append(m.p.Nodes, graph.Node{Op: op, In: in, Shape: shape})
	return len(m.p.Nodes) - 1
}

// variable is a leaf of the state.
func (m *maker) variable(v graph.Variable, shape ...int) int {
	i := m.leaf(graph.State, v.Name, shape...)
	m.p.Nodes[i].Slot = v.Slot
	return i
}

func (m *maker) output(name string, i int) {
	m.p.Outputs = append(m.p.Outputs, graph.Output{Name: name, Node: i})
}
func (m *maker) update(v graph.Variable, i int) {
	m.p.Updates = append(m.p.Updates, graph.Update{Variable: v, Node: i})
}

type (
	values = map[string][]float32
	states = map[graph.Variable][]float32
)

// parameter is the variable of a parameter.
func parameter(name string) graph.Variable { return graph.Variable{Name: name} }

// evaluate runs a program node by node with the ops' Go kernels, and updates the state:
// the reference for executors.
func evaluate(p *graph.Program, state states, in values) (out values) {
	at := make([][]float32, len(p.Nodes))
	for i, n := range p.Nodes {
		switch {
		case n.Op != nil:
			c := graph.Call[float32]{Dst: make([]float32, n.Shape.Size()), Shape: n.Shape}
			for _, k := range n.In {
				c.In, c.Shapes = append(c.In, at[k]), append(c.Shapes, p.Nodes[k].Shape)
			}
			n.Op.Run32(c)
			at[i] = c.Dst
		case n.Role == graph.Input:
			at[i] = in[n.Name]
		case n.Role == graph.Constant:
			at[i] = n.Data
		default:
			if state[n.Variable()] == nil {
				state[n.Variable()] = make([]float32, n.Shape.Size())
			}
			at[i] = state[n.Variable()]
		}
	}
	out = values{}
	for _, o := range p.Outputs {
		out[o.Name] = slices.Clone(at[o.Node])
	}
	for _, u := range p.Updates {
		state[u.Variable] = slices.Clone(at[u.Node])
	}
	return out
}

// apart is max|a-b| / max|b|.
func apart(a, b []float32) float64 {
	var worst, most float64
	for i := range b {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= math.MaxFloat64) {
			return math.Inf(1)
		}
		worst, most = max(worst, d), max(most, math.Abs(float64(b[i])))
	}
	if worst == 0 {
		return 0
	}
	return worst / most
}

// distances runs a program and compares its outputs, and the state afterwards, with
// wanted ones.
func distances(t testing.TB, m *lower.Executor, p *graph.Program, state states, in, want values) map[string]float64 {
	t.Helper()
	want, got := maps.Clone(want), values{}
	for name, v := range want {
		got[name] = make([]float32, len(v))
	}
	if err := m.Run(t.Context(), p, in, got); err != nil {
		t.Fatal(err)
	}
	for _, u := range p.Updates {
		name := "state " + u.Variable.String()
		want[name], got[name] = state[u.Variable], make([]float32, len(state[u.Variable]))
		if err := m.Read(u.Variable, got[name]); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]float64{}
	for name := range want {
		out[name] = apart(got[name], want[name])
	}
	return out
}

// same compares a run with the reference, whose state it updates.
func same(t *testing.T, m *lower.Executor, p *graph.Program, state states, in values, bound float64) {
	t.Helper()
	d := distances(t, m, p, state, in, evaluate(p, state, in))
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if !(d[name] <= bound) {
			t.Errorf("%s: %.1e apart, at most %.0e", name, d[name], bound)
		}
	}
}

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// targets makes n rows of probabilities of k classes, divided by n.
func targets(r *rand.Rand, n, k int) []float32 {
	x := make([]float32, n*k)
	for i := range n {
		a, b := r.IntN(k), r.IntN(k)
		x[i*k+a] += 0.75 / float32(n)
		x[i*k+b] += 0.25 / float32(n)
	}
	return x
}
