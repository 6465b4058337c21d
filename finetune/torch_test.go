package finetune_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// everySeed is set by make parity. Tests then run the traces of all seeds, as many
// steps on the tape as on onnxruntime, and networks that take a minute.
var everySeed = os.Getenv("RTX_TRACES") == "all"

// Whole networks are trained for two epochs with a short last batch. The losses of
// each step, and the running statistics and weights at the end, stay as close to
// PyTorch's float64 as PyTorch's float32 does, on both executors, and those stay as
// close to each other.
func TestTorch(t *testing.T) {
	if testing.Short() {
		t.Skip("whole networks take a while")
	}
	g := golden(t)
	for _, name := range []string{"resnet18", "mobilenet_v2", "shufflenet_v2_x1_0"} {
		n := g.network(name)
		limits := bounds(n.Runs...)
		statistics, weights := 0., 0.
		for _, r := range n.Runs {
			statistics, weights = max(statistics, r.BNDistance["20"].Seen), max(weights, r.WeightsDistance.Seen)
		}
		for _, run := range n.Runs {
			if run.Seed > 0 && !everySeed {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", name, run.Seed), func(t *testing.T) {
				net, d := traceNetwork(t, name), newTraceData(run.Seed)
				task, c := n.Options.config(t, d)
				x, began := machine(t), time.Now()
				losses := follow(t, net, x, task, d, c, 20)
				far := within(t, "onnxruntime", losses, run.Float64, limits)
				t.Logf("onnxruntime: losses at most %.1e apart, PyTorch's float32 %.1e; %v", far, maximum(run.Distance), time.Since(began).Round(time.Millisecond))
				ended(t, net, x, run.BN, bound(statistics))
				ended(t, net, x, run.Weights, bound(weights))
				steps := 2
				switch {
				case run.Seed > 0:
					return
				case everySeed:
					steps = 20
				case name == "resnet18":
					steps = 1
				}
				y, began := &tape.Executor[float32]{}, time.Now()
				defer y.Close()
				taped := follow(t, net, y, task, d, c, steps)
				far = within(t, "tape", taped, run.Float64, limits)
				between := within(t, "onnxruntime and tape", losses[:steps], taped, limits)
				t.Logf("tape: %d losses at most %.1e apart, %.1e from onnxruntime; %v", steps, far, between, time.Since(began).Round(time.Millisecond))
				if steps == 20 {
					ended(t, net, y, run.BN, bound(statistics))
					ended(t, net, y, run.Weights, bound(weights))
				}
			})
		}
	}
}

// ended compares tensors after the last step.
func ended(t *testing.T, net *graph.Network, x finetune.Executor, want map[string][]float64, bound float64) {
	t.Helper()
	d, name := seen(t, net, x, want)
	t.Logf("%d tensors at most %.1e apart, bound %.1e", len(want), d, bound)
	if !(d <= bound) {
		t.Errorf("%s is %.1e apart, at most %.1e", name, d, bound)
	}
}

func maximum(v []float64) (m float64) {
	for _, x := range v {
		m = max(m, x)
	}
	return m
}

// watched asks for the norm of the gradient if the program has it.
type watched struct {
	finetune.Executor
	norms []float64
}

func (w *watched) Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error {
	norm := make([]float32, 1)
	if clips := slices.ContainsFunc(p.Outputs, func(o graph.Output) bool { return o.Name == graph.Norm }); !clips {
		return w.Executor.Run(ctx, p, in, out)
	}
	out[graph.Norm] = norm
	err := w.Executor.Run(ctx, p, in, out)
	w.norms = append(w.norms, float64(norm[0]))
	return err
}

// Frozen batch norms, whose short batch is padded, and the other optimizers, targets
// and modes agree with PyTorch too.
func TestTorchVariants(t *testing.T) {
	if testing.Short() {
		t.Skip("whole networks take a while")
	}
	g := golden(t)
	cases := map[string]traced{}
	for name, v := range g.Variants {
		cases["resnet18/"+name] = v
	}
	for _, name := range []string{"resnet18", "mobilenet_v2", "shufflenet_v2_x1_0"} {
		if f := g.network(name).Frozen; f != nil && (everySeed || name == "shufflenet_v2_x1_0") {
			cases[name+"/frozen"] = *f
		}
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			network, _, _ := strings.Cut(name, "/")
			net, d, steps := traceNetwork(t, network), newTraceData(0), len(v.Run.Float64)
			task, c := v.Options.config(t, d)
			c.Unaugmented = true
			executors := map[string]finetune.Executor{"onnxruntime": machine(t)}
			if everySeed {
				executors["tape"] = &tape.Executor[float32]{}
			}
			for what, x := range executors {
				if v.Options.Loss != "labels" {
					task, c = v.Options.config(t, d) // the random numbers of its targets start again
				}
				n := steps
				if what == "tape" && v.Options.Trained != "fixed" {
					n = 2
				}
				w := &watched{Executor: x}
				far := within(t, what, follow(t, net, w, task, d, c, n), v.Run.Float64, bounds(v.Run))
				t.Logf("%s: %d losses at most %.1e apart, PyTorch's float32 %.1e", what, n, far, maximum(v.Run.Distance))
				if c.Clip > 0 && len(w.norms) != n {
					t.Errorf("%d norms in %d steps", len(w.norms), n)
				}
				for i, norm := range w.norms {
					if d := math.Abs(norm-v.Run.Norm64[i]) / v.Run.Norm64[i]; !(d <= bound(v.Run.NormDistance)) {
						t.Errorf("%s, step %d: a norm of %v, want %v", what, i+1, norm, v.Run.Norm64[i])
					}
				}
				if n == steps {
					ended(t, net, x, v.Run.BN, bound(v.Run.BNDistance[fmt.Sprint(steps)].Seen))
					ended(t, net, x, v.Run.Weights, bound(v.Run.WeightsDistance.Seen))
				}
				unmoved(t, net, x, c)
				x.Close()
			}
		})
	}
}

// unmoved checks that what is not trained has kept its bits, including the statistics
// of frozen batch norms.
func unmoved(t *testing.T, net *graph.Network, x finetune.Executor, c finetune.Config) {
	t.Helper()
	rule, err := c.Rules.For(net)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, p := range net.Params() {
		_, trained := rule(p)
		trained = trained || p.Kind.Statistic() && !c.Frozen
		before, err := net.Values(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		same := slices.Equal(before, values(t, net, x, graph.Parameter, p.Name))
		if same == trained {
			t.Errorf("%s: trained %v, but unchanged %v", p.Name, trained, same)
		}
		if !same {
			moved++
		}
	}
	t.Logf("%d of %d tensors moved", moved, len(net.Params()))
}
