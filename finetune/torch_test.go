package finetune_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// everySeed is set by make parity: traces of all seeds, and on the tape as long
// as on onnxruntime.
var everySeed = os.Getenv("RTX_TRACES") == "all"

// Whole networks are trained over two epochs, with a short last batch, and stay
// as close to PyTorch's float64 as PyTorch's float32 does: their losses at each
// step, running statistics and weights at the end. Both executors do, and stay
// as close to each other.
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
				c := n.Options.config(t, d)
				x, began := machine(t), time.Now()
				losses := follow(t, net, x, d, c, 20)
				far := within(t, "onnxruntime", losses, run.Float64, limits)
				t.Logf("onnxruntime: losses at most %.1e apart, PyTorch's float32 %.1e; %v", far, maximum(run.Distance), time.Since(began).Round(time.Millisecond))
				ended(t, net, x, run.BN, bound(statistics))
				ended(t, net, x, run.Weights, bound(weights))
				steps := 2
				if everySeed && run.Seed == 0 {
					steps = 20
				}
				if run.Seed > 0 {
					return
				}
				y, began := &tape.Machine[float32]{}, time.Now()
				defer y.Close()
				taped := follow(t, net, y, d, c, steps)
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
