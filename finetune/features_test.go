package finetune_test

import (
	"math"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// With a dropout before them, features differ from step to step.
func TestNotCached(t *testing.T) {
	for dropout, cached := range map[float64]bool{-.3: false, 0: true, .3: true} {
		r := train(t, toyNet(t, dropout), &spy{}, &toy{rows: [3]int{10, 0, 0}}, finetune.Config{
			Epochs: 1, BatchSize: 4, Frozen: true, Unaugmented: true, Rules: finetune.Rules{Mode: finetune.Mode{Fixed: true}},
		})
		if r.Plan.Cached != cached {
			t.Errorf("dropout %v: cached is %v", dropout, r.Plan.Cached)
		}
	}
}

// Features cannot stand for images that are read behind them, too.
func TestImagesBehindFeatures(t *testing.T) {
	g := toyNet(t, 0).Model().Proto.Graph
	g.Node[len(g.Node)-1].Output[0] = "linear"
	g.Node = append(g.Node, onnx.NewNode("GlobalAveragePool", "means", []string{"images"}), onnx.NewNode("Flatten", "flat", []string{"means"}),
		onnx.NewNode("Add", "logits", []string{"linear", "flat"}))
	r := train(t, readToy(t, g), &spy{}, &toy{rows: [3]int{10, 0, 0}}, finetune.Config{
		Epochs: 1, BatchSize: 4, Frozen: true, Unaugmented: true, Rules: finetune.Rules{Mode: finetune.Mode{Fixed: true}},
	})
	if r.Plan.Cached || r.Steps != 3 {
		t.Errorf("cached is %v after %d steps", r.Plan.Cached, r.Steps)
	}
}

// Training on features that are computed once gives the results of training on images.
func TestCached(t *testing.T) {
	for _, dropout := range []float64{0, .3} {
		for _, ema := range []float64{0, .9} {
			net := toyNet(t, dropout)
			c := finetune.Config{
				Epochs: 5, BatchSize: 4, Frozen: true, LearningRate: .1, EMA: ema,
				Rules: finetune.Rules{Mode: finetune.Mode{Fixed: true}},
			}
			d := &toy{rows: [3]int{10, 6, 4}}
			var x, y spy
			whole := train(t, net, &x, d, c)
			c.Unaugmented = true
			images, steps := 0, 0
			y.before = func(p *graph.Program, in map[string][]float32) {
				if in[graph.Images] != nil {
					images++
				}
				if training(p) {
					steps++
				}
			}
			r := train(t, net, &y, d, c)
			if !r.Plan.Cached || whole.Plan.Cached || images != 3+2+1 || steps != 15 {
				t.Errorf("cached %v, %d programs on images, %d steps", r.Plan.Cached, images, steps)
			}
			for _, name := range []string{"head.w", "head.b"} {
				if d := distance(values(t, net, &x, graph.Parameter, name), values(t, net, &y, graph.Parameter, name)); d > 1e-5 {
					t.Errorf("dropout %v: %s differs by %v", dropout, name, d)
				}
			}
			for _, s := range [][2]*finetune.Score{{r.Best, whole.Best}, {r.Last, whole.Last}, {r.Test, whole.Test}} {
				if a, b := s[0], s[1]; a.Epoch != b.Epoch || a.Figure(classify.Top1) != b.Figure(classify.Top1) || math.Abs(a.Loss-b.Loss) > 1e-5 {
					t.Errorf("scores %+v, want %+v", a, b)
				}
			}
			a, _ := r.BestModel.Floats("head.w")
			b, _ := whole.BestModel.Floats("head.w")
			if d := distance(a, b); d > 1e-5 || len(a) == 0 {
				t.Errorf("the best models differ by %v", d)
			}
		}
	}
}
