package lower_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// descent is a step of a model whose logits are x + relu(w), [n,k].
func descent(t testing.TB, n, k int, update func(m *maker, w, gradient int)) *graph.Program {
	m := &maker{t: t}
	x, w := m.leaf(graph.Input, "x", n, k), m.leaf(graph.State, "w", n, k)
	y := m.op(graph.Relu{}, w)
	logits := m.op(graph.Sum{}, x, y)
	aim := m.leaf(graph.Input, graphtest.Targets, n, k)
	m.output(graph.Loss, m.op(graph.CrossEntropy{}, logits, aim))
	m.output(graph.Logits, logits)
	update(m, w, m.op(graph.ReluGradient{}, y, m.op(graph.CrossEntropyGradient{}, logits, aim)))
	return &m.p
}

// The variables of the parameter "w".
var (
	momentum = graph.Variable{Name: "w", Slot: graph.FirstMoment}
	second   = graph.Variable{Name: "w", Slot: graph.SecondMoment}
	average  = graph.Variable{Name: "w", Slot: graph.Average}
)

// optimizers are the updates that graph builds.
var optimizers = map[string]func(m *maker, w, gradient int){
	"sgd": func(m *maker, w, gradient int) {
		m.update(parameter("w"), m.op(graph.SGDStep{LRScale: 1}, w, gradient, m.leaf(graph.Input, graph.LR, 1)))
	},
	"sgd, all": func(m *maker, w, gradient int) {
		norm := m.op(graph.GlobalNorm{}, gradient)
		m.output(graph.Norm, norm)
		d := m.op(graph.Axpy{A: 1e-2}, w, m.op(graph.ClipByGlobalNorm{Max: 0.1}, gradient, norm))
		first := m.op(graph.Axpy{A: 0.9}, m.variable(momentum, m.p.Nodes[w].Shape...), d)
		next := m.op(graph.SGDStep{LRScale: 0.5}, w, first, m.leaf(graph.Input, graph.LR, 1))
		m.update(parameter("w"), next)
		m.update(momentum, first)
		m.update(average, m.op(graph.Axpby{A: 0.9, B: 0.1}, m.variable(average, m.p.Nodes[w].Shape...), next))
	},
	"nesterov": func(m *maker, w, gradient int) {
		first := m.op(graph.Axpy{A: 0.9}, m.variable(momentum, m.p.Nodes[w].Shape...), gradient)
		d := m.op(graph.Axpy{A: 0.9}, first, gradient)
		m.update(parameter("w"), m.op(graph.SGDStep{LRScale: 2}, w, d, m.leaf(graph.Input, graph.LR, 1)))
		m.update(momentum, first)
	},
	"adamw": func(m *maker, w, gradient int) {
		shape := m.p.Nodes[w].Shape
		first := m.op(graph.Axpby{A: 0.9, B: 1 - 0.9}, m.variable(momentum, shape...), gradient)
		squares := m.op(graph.AxpbySquare{A: 0.999, B: 1 - 0.999}, m.variable(second, shape...), gradient)
		next := m.op(graph.AdamStep{Eps: 1e-8, LRScale: 0.5, WeightDecay: 1e-2}, w, first, squares,
			m.leaf(graph.Input, graph.LR, 1), m.leaf(graph.Input, graph.Correction1, 1), m.leaf(graph.Input, graph.Correction2, 1))
		m.update(parameter("w"), next)
		m.update(momentum, first)
		m.update(second, squares)
	},
}

func inputs(r *rand.Rand, n, k int) values {
	return values{"x": normal(r, n*k), graphtest.Targets: targets(r, n, k), graph.LR: {0.3}, graph.Correction1: {0.1}, graph.Correction2: {0.3}, "of another program": nil}
}

// TestUpdates compares five steps of each optimizer with the Go kernels.
func TestUpdates(t *testing.T) {
	for name, update := range optimizers {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, m *lower.Executor) {
				r := rand.New(rand.NewPCG(1, 2))
				p := descent(t, 4, 7, update)
				state := states{parameter("w"): normal(r, 28)}
				if err := m.Write(parameter("w"), state[parameter("w")]); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					same(t, m, p, state, inputs(r, 4, 7), 1e-6)
				}
			})
		})
	}
}

// TestState has three programs that share state: one trains, one trains with averages,
// and one only reads.
func TestState(t *testing.T) {
	both(t, func(t *testing.T, m *lower.Executor) {
		r := rand.New(rand.NewPCG(3, 4))
		train := descent(t, 4, 3, optimizers["sgd, all"])
		other := descent(t, 4, 3, optimizers["sgd"])
		judge := descent(t, 4, 3, func(*maker, int, int) {})
		state := states{parameter("w"): normal(r, 12), average: normal(r, 12)}
		for name, v := range state {
			if err := m.Write(name, v); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			for _, p := range []*graph.Program{judge, train, judge, other, train, train, judge} {
				same(t, m, p, state, inputs(r, 4, 3), 1e-6)
			}
			state[parameter("w")] = normal(r, 12)
			if err := m.Write(parameter("w"), state[parameter("w")]); err != nil {
				t.Fatal(err)
			}
			if err := m.Forget(train); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]float32, 12)
		if err := m.Run(t.Context(), judge, inputs(r, 4, 3), nil); err != nil {
			t.Fatal(err)
		}
		if err := m.Read(average, got); err != nil {
			t.Fatal(err)
		}
		if d := apart(got, state[average]); d > 1e-6 {
			t.Errorf("averages %.1e apart", d)
		}
	})
}

// TestOps runs ops that no optimizer needs, and outputs that are leaves, scalars or the
// same value.
func TestOps(t *testing.T) {
	both(t, func(t *testing.T, m *lower.Executor) {
		r := rand.New(rand.NewPCG(5, 6))
		k := &maker{t: t}
		x, number := k.leaf(graph.Input, "x", 2, 3, 4, 5), k.leaf(graph.State, "number")
		scale, shift := k.constant(graph.Shape{3}, 1, -2, 3), k.constant(graph.Shape{3}, 0, 0.5, 1)
		y := k.op(graph.Affine{}, x, scale, shift)
		clip := graph.Clip{Low: -1, High: 1.5}
		z := k.op(clip, y)
		k.output("clip", z)
		k.output("the same", z)
		k.output("gradient", k.op(graph.ClipGradient{Low: clip.Low, High: clip.High}, z, x))
		k.output("clamp", k.op(graph.ClampGradient{}, y, z, x))
		k.output("transpose", k.op(graph.Transpose{Perm: []int{0, 2, 3, 1}}, z))
		k.output("x", x)
		k.output("scale", scale)
		k.output("number", number)
		k.output("mean", k.op(graph.Lerp{Scale: 2}, z, x, k.leaf(graph.Input, "r", 1)))
		k.update(parameter("number"), k.op(graph.Relu{}, number))
		k.update(parameter("x"), x)
		k.update(parameter("z"), z)
		state := states{parameter("number"): {-3}}
		if err := m.Write(parameter("number"), state[parameter("number")]); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			same(t, m, &k.p, state, values{"x": normal(r, 120), "r": {0.25}}, 1e-6)
		}
	})
}

func TestErrors(t *testing.T) {
	m := machine(t, lower.Config{})
	p := descent(t, 4, 3, optimizers["sgd, all"])
	good := inputs(rand.New(rand.NewPCG(7, 8)), 4, 3)
	with := func(name string, v []float32) values {
		in := values{}
		for k, x := range good {
			in[k] = x
		}
		if in[name] = v; v == nil {
			delete(in, name)
		}
		return in
	}
	if err := m.Write(momentum, make([]float32, 11)); err != nil {
		t.Fatal(err)
	}
	check := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check(m.Run(t.Context(), p, good, nil), `lower: 12 floats for variable "first_moment of w", expected 11, [11]`)
	m.Close()
	check(m.Run(t.Context(), p, good, nil), "closed")
	check(m.Write(parameter("w"), nil), "closed")
	check(m.Read(parameter("w"), nil), `no variable "w"`)

	m = machine(t, lower.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := normal(rand.New(rand.NewPCG(9, 9)), 12)
	if err := m.Write(parameter("w"), w); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(ctx, p, good, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	check(m.Run(t.Context(), p, with("x", nil), nil), `input "x" [4 3] is missing`)
	check(m.Run(t.Context(), p, with(graph.LR, []float32{1, 2}), nil), `input "lr" has 2 floats, expected 1, [1]`)
	check(m.Run(t.Context(), p, good, values{"los": {0}}), `no output "los", only ["logits" "loss" "norm"]`)
	for range 50 { // of two faults the first is told, every time
		check(m.Run(t.Context(), p, nil, nil), `input "lr" [1] is missing`)
		check(m.Run(t.Context(), p, good, values{"a": {0}, graph.Logits: {0}}), `no output "a"`)
	}
	check(m.Run(t.Context(), p, good, values{graph.Logits: {0}}), `output "logits" is given 1 floats, expected 12, [4 3]`)
	check(m.Read(parameter("w"), make([]float32, 3)), `3 floats for variable "w", expected 12, [4 3]`)
	check(m.Write(parameter("w"), make([]float32, 3)), `3 floats for variable "w", expected 12, [4 3]`)
	check(m.Read(parameter("v"), w), `no variable "v"`)
	check(m.Prepare(descent(t, 2, 6, optimizers["sgd"])), `variable "w" has shape [4 3], a program expects [2 6]`)
	twice := descent(t, 4, 3, optimizers["sgd"])
	twice.Updates = append(twice.Updates, twice.Updates[0])
	check(m.Prepare(twice), `two of the program's outputs or updates are called "w"`)
	got := make([]float32, 12)
	if err := m.Read(parameter("w"), got); err != nil || !slices.Equal(got, w) {
		t.Errorf("%v: failures changed the state: %v, want %v", err, got, w)
	}
}

// TestUnavailable opens executors on missing libraries and devices. A process can only
// load one library, so another process tries.
func TestUnavailable(t *testing.T) {
	o := runtime.Options{Library: runtime.Library{Path: "nowhere.so"}}
	if os.Getenv("RTX_TEST_NOWHERE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestUnavailable$")
		cmd.Env = append(os.Environ(), "RTX_TEST_NOWHERE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		m := machine(t, lower.Config{})
		if device, _ := m.Device(); device != "cpu" {
			t.Errorf("device %q", device)
		}
		o = runtime.Options{Device: "npu"}
		o.Library, _ = runtime.Find("")
	}
	if _, err := lower.Open(o, lower.Config{}); !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("%v, want %v", err, runtime.ErrUnavailable)
	}
}
