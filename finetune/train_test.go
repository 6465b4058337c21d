package finetune_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

func TestOverfit(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		var x spy
		var losses []float64
		r := train(t, toyNet(t, 0), &x, &toy{rows: [3]int{8, 8, 4}}, finetune.Config{
			Epochs: 60, BatchSize: 8, LearningRate: .1, Frozen: frozen, Schedule: finetune.Constant{}, Warmup: -1, Patience: -1,
			Report: func(e finetune.Event) error {
				if e.Kind == finetune.Stepped {
					losses = append(losses, e.Loss)
				}
				return nil
			},
		})
		if last := losses[len(losses)-1]; len(losses) != 60 || last > .05 || r.Best.Figure(classify.Top1) != 1 || r.Stop != finetune.AllSteps {
			t.Errorf("frozen %v: after %d steps loss %v, best %+v, stop %q", frozen, len(losses), last, r.Best, r.Stop)
		}
		if r.Test == nil || r.Test.N != 4 || r.Test.Epoch != r.Best.Epoch {
			t.Errorf("test score %+v", r.Test)
		}
	}
}

// wrong is a toy whose training labels are wrong, so that the first epoch is the best
// one. Its test rows are its validation rows.
type wrong struct{ toy }

func (w *wrong) fill(ctx context.Context, s finetune.Split, rows []int, epoch int, dst []float32, labels []int) error {
	if s == finetune.Test {
		s = finetune.Validation
	}
	err := w.toy.fill(ctx, s, rows, epoch, dst, labels)
	for i := range labels {
		if s == finetune.Training {
			labels[i] = (labels[i] + 1) % classes
		}
	}
	return err
}

func (w *wrong) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	return load(ctx, w, s, epoch, b)
}

// The best model has the weights of the best epoch, which are the ones tested; the last
// model has those of the last epoch.
func TestBest(t *testing.T) {
	for _, ema := range []float64{0, .5} {
		net, x := toyNet(t, 0), &spy{}
		var weights [][]float32
		r := train(t, net, x, &wrong{toy{rows: [3]int{8, 6, 6}}}, finetune.Config{Epochs: 4, BatchSize: 4, LearningRate: .05, EMA: ema, Report: func(e finetune.Event) error {
			if e.Kind == finetune.Evaluated && e.Split == finetune.Validation {
				m, err := e.Model()
				if err != nil {
					return err
				}
				v, err := m.Floats("s1.w")
				weights = append(weights, v)
				return err
			}
			return nil
		}})
		if r.Best.Epoch != 1 || r.Last.Epoch != 4 || len(weights) != 4 {
			t.Fatalf("best %+v, last %+v", r.Best, r.Last)
		}
		for i, m := range []*onnx.Model{r.BestModel, r.LastModel} {
			if got, err := m.Floats("s1.w"); err != nil || !slices.Equal(got, weights[3*i]) {
				t.Errorf("EMA %v: model %d has other weights, %v", ema, i, err)
			}
		}
		if r.Test.Loss != r.Best.Loss || r.Test.N != 6 {
			t.Errorf("EMA %v: tested %+v, best %+v", ema, r.Test, r.Best)
		}
	}
}

func TestEMA(t *testing.T) {
	net := toyNet(t, 0)
	var x spy
	want, _ := net.Values("s1.w")
	stat, _ := net.Values("s1.mean")
	x.after = func(p *graph.Program, _ map[string][]float32) {
		if !training(p) {
			return
		}
		for i, v := range values(t, net, &x, graph.Parameter, "s1.w") {
			want[i] = .9*want[i] + .1*v
		}
		for i, v := range values(t, net, &x, graph.Parameter, "s1.mean") {
			stat[i] = .9*stat[i] + .1*v
		}
	}
	r := train(t, net, &x, &toy{rows: [3]int{8, 8, 0}}, finetune.Config{Epochs: 3, BatchSize: 4, EMA: .9, LearningRate: .1})
	if d := distance(values(t, net, &x, graph.Average, "s1.w"), want); d > 1e-6 {
		t.Errorf("average of weights off by %v", d)
	}
	if d := distance(values(t, net, &x, graph.Average, "s1.mean"), stat); d > 1e-6 {
		t.Errorf("average of statistics off by %v", d)
	}
	if got, err := r.LastModel.Floats("s1.w"); err != nil || distance(got, want) > 1e-6 {
		t.Errorf("the last model has other weights than the averages: %v", err)
	}
}

// The score of an evaluation is that of the weights in its event.
func TestEvaluated(t *testing.T) {
	for _, ema := range []float64{0, .5} {
		net := toyNet(t, .5)
		var x spy
		var last []float32
		x.after = func(p *graph.Program, out map[string][]float32) {
			if v, ok := out[graph.Logits]; ok {
				last = append(last[:0], v[:2*classes]...)
			}
		}
		c := finetune.Config{Epochs: 2, BatchSize: 4, EMA: ema, LearningRate: .1}
		c.Report = func(e finetune.Event) error {
			if e.Kind != finetune.Evaluated {
				return nil
			}
			m, err := e.Model()
			if err != nil {
				return err
			}
			tuned, err := graph.Read(m)
			if err != nil {
				return err
			}
			p, err := tuned.Program(graph.Config{Batch: 2}, nil)
			if err != nil {
				return err
			}
			var y spy
			if err := finetune.Load(tuned, &y); err != nil {
				return err
			}
			images, logits := make([]float32, 2*pixels), make([]float32, 2*classes)
			(&toy{}).fill(context.Background(), finetune.Validation, []int{4, 5}, 0, images, make([]int, 2))
			if err := y.Run(context.Background(), p, map[string][]float32{graph.Images: images}, map[string][]float32{graph.Logits: logits}); err != nil {
				return err
			}
			if d := distance(logits, last); d > 1e-5 {
				t.Errorf("EMA %v: logits of the model differ by %v from those evaluated", ema, d)
			}
			return nil
		}
		train(t, net, &x, &toy{rows: [3]int{8, 6, 0}}, c)
	}
}

func TestDropout(t *testing.T) {
	var x spy
	var masks [][]float32
	x.before = func(p *graph.Program, in map[string][]float32) {
		for name, v := range in {
			if strings.HasPrefix(name, graph.Masks) {
				masks = append(masks, slices.Clone(v))
			}
		}
	}
	train(t, toyNet(t, .25), &x, &toy{rows: [3]int{400, 8, 0}}, finetune.Config{Epochs: 1, BatchSize: 200})
	if len(masks) != 2 || slices.Equal(masks[0], masks[1]) {
		t.Fatalf("%d masks, or the same twice", len(masks))
	}
	zeros := 0
	for _, v := range masks[0] {
		if v == 0 {
			zeros++
		} else if v != float32(1/.75) {
			t.Fatalf("mask holds %v", v)
		}
	}
	if share := float64(zeros) / float64(len(masks[0])); math.Abs(share-.25) > .05 {
		t.Errorf("%v of the mask is 0", share)
	}
}

func TestAdamW(t *testing.T) {
	var x spy
	step := 0
	x.before = func(p *graph.Program, in map[string][]float32) {
		step++
		c1, c2 := 1-math.Pow(.9, float64(step)), math.Sqrt(1-math.Pow(.999, float64(step)))
		if math.Abs(float64(in[graph.Correction1][0])-c1) > 1e-7 || math.Abs(float64(in[graph.Correction2][0])-c2) > 1e-7 {
			t.Errorf("step %d: corrections %v, %v, want %v, %v", step, in[graph.Correction1], in[graph.Correction2], c1, c2)
		}
	}
	train(t, toyNet(t, 0), &x, &toy{rows: [3]int{8, 0, 0}}, finetune.Config{Epochs: 2, BatchSize: 4, LearningRate: 1e-3, Optimizer: graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}})
	if step != 4 {
		t.Errorf("%d steps", step)
	}
}

func TestDiverged(t *testing.T) {
	s := store(t)
	d := &toy{rows: [3]int{8, 8, 0}}
	var x spy
	c := finetune.Config{Epochs: 4, BatchSize: 4, Store: s, Now: still, LearningRate: .01, Schedule: finetune.Constant{}, Warmup: -1}
	x.after = func(p *graph.Program, out map[string][]float32) {
		if step++; training(p) && step > 5 {
			out[graph.Loss][0] = float32(math.NaN())
		}
	}
	step = 0
	_, err := finetune.Train(context.Background(), toyNet(t, 0), &x, classify.Task{}, d, c)
	var gone *finetune.Diverged
	if !errors.As(err, &gone) || gone.What != "loss" || gone.Step != 4 || gone.Epoch != 2 || gone.LearningRate != .01 || gone.Saved == nil || *gone.Saved != (finetune.Position{Epoch: 1, Step: 2}) {
		t.Fatalf("%#v", err)
	}
	kept, err := s.Load()
	if err != nil || kept.Step != 2 {
		t.Errorf("kept %+v, %v", kept, err)
	}

	// with the real clock
	c.Store, c.LearningRate = nil, 1e9
	if _, err = finetune.Train(context.Background(), toyNet(t, 0), &spy{}, classify.Task{}, d, c); !errors.As(err, &gone) || gone.Saved != nil {
		t.Errorf("rate 1e30: %v", err)
	}
}

var step int

func TestPatience(t *testing.T) {
	c := finetune.Config{Epochs: 9, BatchSize: 4, LearningRate: 1e-30, Patience: 2, Frozen: true}
	r := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{8, 8, 0}}, c)
	if r.Stop != finetune.OutOfPatience || r.Last.Epoch != 3 || r.Best.Epoch != 1 {
		t.Errorf("stop %q, last %+v, best %+v", r.Stop, r.Last, r.Best)
	}
	c.Patience = -1
	if r := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{8, 8, 0}}, c); r.Stop != finetune.AllSteps || r.Last.Epoch != 9 {
		t.Errorf("without patience: stop %q, last %+v", r.Stop, r.Last)
	}
}

func TestReportError(t *testing.T) {
	stop := errors.New("disk full")
	_, err := finetune.Train(context.Background(), toyNet(t, 0), &spy{}, classify.Task{}, &toy{rows: [3]int{8, 0, 0}}, finetune.Config{Report: func(finetune.Event) error { return stop }})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}
