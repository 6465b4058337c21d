package finetune_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

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

// A step does what its own program does for the batch's rows, in both modes of batch
// norm.
func TestShortBatch(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		net := toyNet(t, 0)
		d := &toy{rows: [3]int{10, 0, 0}}
		c := finetune.Config{Epochs: 2, BatchSize: 4, Frozen: frozen, LearningRate: .05, Schedule: finetune.Constant{}, Warmup: -1}
		var x, y spy
		var sizes []int
		x.before = func(p *graph.Program, in map[string][]float32) {
			sizes = append(sizes, len(in[graph.Images])/pixels)
			if pad := in[graph.Images][2*pixels:]; len(sizes)%3 == 0 && !slices.Equal(pad, make([]float32, len(pad))) {
				t.Error("padding is of an earlier batch")
			}
		}
		train(t, net, &x, d, c)
		if want := map[bool][]int{false: {4, 4, 2, 4, 4, 2}, true: {4, 4, 4, 4, 4, 4}}[frozen]; !slices.Equal(sizes, want) {
			t.Fatalf("frozen %v: programs of sizes %v, want %v", frozen, sizes, want)
		}

		rule, err := c.Rules.For(net)
		if err != nil {
			t.Fatal(err)
		}
		if err := finetune.Load(net, &y); err != nil {
			t.Fatal(err)
		}
		for epoch := range 2 {
			rows := finetune.Order(0, epoch, 10)
			for rows := range slices.Chunk(rows, 4) {
				p, err := net.Program(graph.Config{Batch: len(rows), Adapt: !frozen, Train: rule, Optimizer: graph.SGD{Momentum: .9, Nesterov: true}}, classify.Objective)
				if err != nil {
					t.Fatal(err)
				}
				images, labels, targets := make([]float32, len(rows)*pixels), make([]int, len(rows)), make([]float32, len(rows)*classes)
				d.fill(context.Background(), finetune.Training, rows, epoch, images, labels)
				for i, l := range labels {
					targets[i*classes+l] = 1 / float32(len(rows))
				}
				in := map[string][]float32{graph.Images: images, classify.Targets: targets, graph.LR: {.05}}
				if err := y.Run(context.Background(), p, in, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, p := range net.Params() {
			a, b := values(t, net, &x, graph.Parameter, p.Name), values(t, net, &y, graph.Parameter, p.Name)
			if d := distance(a, b); d > 1e-6 {
				t.Errorf("frozen %v: %s differs by %v", frozen, p.Name, d)
			}
		}
	}
}

// recorder is a toy that records the training rows that it is asked for.
type recorder struct {
	toy
	epochs [][]int
}

func (r *recorder) fill(ctx context.Context, s finetune.Split, rows []int, epoch int, dst []float32, labels []int) error {
	if s == finetune.Training {
		for len(r.epochs) <= epoch {
			r.epochs = append(r.epochs, nil)
		}
		r.epochs[epoch] = append(r.epochs[epoch], rows...)
	}
	return r.toy.fill(ctx, s, rows, epoch, dst, labels)
}

func (r *recorder) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	return load(ctx, r, s, epoch, b)
}

// Every epoch takes all rows, in an order that depends on the epoch and the seed.
func TestOrder(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(2) {
		d := &recorder{toy: toy{rows: [3]int{10, 4, 0}}}
		train(t, toyNet(t, 0), &spy{}, d, finetune.Config{Epochs: 3, BatchSize: 4, Seed: seed})
		if len(d.epochs) != 3 {
			t.Fatalf("%d epochs", len(d.epochs))
		}
		for _, rows := range d.epochs {
			seen[fmt.Sprint(rows)] = true
			slices.Sort(rows)
			if !slices.Equal(rows, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
				t.Errorf("an epoch of rows %v", rows)
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d orders of 6", len(seen))
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

func TestLeftOut(t *testing.T) {
	for _, c := range []struct {
		rows, steps int
		frozen      bool
	}{{9, 2, false}, {9, 3, true}, {8, 2, false}, {3, 1, false}} {
		var x spy
		var plan finetune.Plan
		r := train(t, toyNet(t, 0), &x, &toy{rows: [3]int{c.rows, 0, 0}}, finetune.Config{Epochs: 1, BatchSize: 4, Frozen: c.frozen, Report: func(e finetune.Event) error {
			plan = e.Plan
			return nil
		}})
		if r.Steps != c.steps || plan.Steps != c.steps || (plan.LeftOut == 1) != (c.rows == 9 && !c.frozen) {
			t.Errorf("%+v: %d steps, plan %+v", c, r.Steps, plan)
		}
	}
	var x spy
	if _, err := finetune.Train(context.Background(), toyNet(t, 0), &x, classify.Task{}, &toy{rows: [3]int{1, 0, 0}}, finetune.Config{}); err == nil {
		t.Error("no error for one row under adapting batch norms")
	}
}

// Images that cannot be read are left out of their batch, whose loss is the mean over
// the others.
func TestMissed(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		net := toyNet(t, 0)
		var x, y spy
		c := finetune.Config{Epochs: 1, BatchSize: 6, Frozen: frozen, LearningRate: .05, Warmup: -1}
		r := train(t, net, &x, &toy{rows: [3]int{6, 0, 0}, bad: []int{1, 4}}, c)
		if r.Missed != 2 {
			t.Errorf("%d missed", r.Missed)
		}
		// the same rows without the others
		order := slices.DeleteFunc(finetune.Order(0, 0, 6), func(row int) bool { return row == 1 || row == 4 })
		train(t, net, &y, &picked{toy{rows: [3]int{4, 0, 0}}, order}, c)
		for _, p := range net.Params() {
			if d := distance(values(t, net, &x, graph.Parameter, p.Name), values(t, net, &y, graph.Parameter, p.Name)); d > 1e-6 {
				t.Errorf("frozen %v: %s differs by %v", frozen, p.Name, d)
			}
		}
	}
}

// picked is data of some rows of a toy, in any order.
type picked struct {
	toy
	order []int
}

func (p *picked) fill(ctx context.Context, s finetune.Split, rows []int, epoch int, dst []float32, labels []int) error {
	return p.toy.fill(ctx, s, p.order[:len(rows)], epoch, dst, labels)
}

func (p *picked) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	return load(ctx, p, s, epoch, b)
}

func TestModes(t *testing.T) {
	all := []string{"s1.w", "s1.scale", "s1.shift", "s2.w", "s2.scale", "s2.shift", "head.w", "head.b"}
	for mode, want := range map[string][]string{"full": all, "last-2": all, "last-1": all[3:], "fixed": all[6:]} {
		for _, frozen := range []bool{false, true} {
			m, err := finetune.ParseMode(mode)
			if err != nil || m.String() != mode {
				t.Fatalf("%q: %v, %v", mode, m, err)
			}
			net := toyNet(t, 0)
			var x spy
			train(t, net, &x, &toy{rows: [3]int{8, 0, 0}}, finetune.Config{Epochs: 1, BatchSize: 4, Frozen: frozen, Rules: finetune.Rules{Mode: m}})
			for _, p := range net.Params() {
				was, _ := net.Values(p.Name)
				moved := distance(was, values(t, net, &x, graph.Parameter, p.Name)) > 0
				if expected := slices.Contains(want, p.Name) || p.Kind.Statistic() && !frozen; moved != expected {
					t.Errorf("%s, frozen %v: %s changed: %v", mode, frozen, p.Name, moved)
				}
			}
		}
	}
	for _, bad := range []string{"", "last-0", "last-x", "half"} {
		if _, err := finetune.ParseMode(bad); err == nil {
			t.Errorf("no error for mode %q", bad)
		}
	}
	if _, err := (finetune.Rules{Mode: finetune.Mode{Last: 3}}).For(toyNet(t, 0)); err == nil {
		t.Error("no error for more stages than there are")
	}
}

func TestRules(t *testing.T) {
	net := toyNet(t, 0)
	rule, err := finetune.Rules{WeightDecay: .1, NoNormDecay: true, LayerDecay: .5}.For(net)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]graph.Rule{
		"s1.w": {LRScale: .25, WeightDecay: .1}, "s1.scale": {LRScale: .25}, "s1.shift": {LRScale: .25}, "s2.w": {LRScale: .5, WeightDecay: .1}, "s2.scale": {LRScale: .5}, "s2.shift": {LRScale: .5},
		"head.w": {LRScale: 1, WeightDecay: .1}, "head.b": {LRScale: 1},
	}
	for _, p := range net.Params() {
		got, trained := rule(p)
		if w, ok := want[p.Name]; ok != trained || got != w {
			t.Errorf("%s: %+v %v, want %+v", p.Name, got, trained, w)
		}
	}
	if rule, _ = (finetune.Rules{WeightDecay: -1}).For(net); rule != nil {
		if r, _ := rule(net.Params()[0]); r.WeightDecay != 0 || r.LRScale != 1 {
			t.Errorf("%+v", r)
		}
	}
}

func TestTargets(t *testing.T) {
	var x spy
	var got []float32
	x.before = func(p *graph.Program, in map[string][]float32) {
		if training(p) {
			got = append(got, in[classify.Targets]...)
		}
	}
	mixed := 0
	trainTask(t, toyNet(t, 0), &x, classify.Task{LabelSmoothing: .3, Mix: func(r *rand.Rand, images, targets []float32, n int) {
		mixed = n
		if len(images) != 3*pixels || len(targets) != 3*classes {
			t.Errorf("%d pixels, %d targets", len(images), len(targets))
		}
		targets[0] *= 2
	}}, &toy{rows: [3]int{3, 0, 0}}, finetune.Config{Epochs: 1, BatchSize: 4, Frozen: true})
	if len(got) != 4*classes || mixed != 3 {
		t.Fatalf("%d targets, %d mixed", len(got), mixed)
	}
	for i, row := range finetune.Order(0, 0, 3) {
		for k := range classes {
			want := .1 / 3
			if k == row%classes {
				want = .8 / 3
			}
			if i == 0 && k == 0 {
				want *= 2
			}
			if math.Abs(float64(got[i*classes+k])-want) > 1e-7 {
				t.Errorf("target [%d,%d] = %v, want %v", i, k, got[i*classes+k], want)
			}
		}
	}
	if !slices.Equal(got[3*classes:], make([]float32, classes)) {
		t.Errorf("padding has targets %v", got[3*classes:])
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

// A step takes a second, and an evaluation a tenth of a second per batch.
func TestMaxTime(t *testing.T) {
	for _, slow := range []bool{false, true} {
		now, rates := time.Unix(0, 0), []float64{}
		x := spy{}
		steps, kept := 0, store(t)
		x.after = func(p *graph.Program, _ map[string][]float32) {
			if !training(p) {
				now = now.Add(100 * time.Millisecond)
				return
			}
			now = now.Add(time.Second)
			if steps++; slow && steps > 10 {
				now = now.Add(3 * time.Second)
			}
		}
		var fitted finetune.Plan
		r := train(t, toyNet(t, 0), &x, &toy{rows: [3]int{16, 8, 0}}, finetune.Config{
			Epochs: 20, BatchSize: 4, MaxTime: 40 * time.Second, Patience: -1, Now: func() time.Time { return now }, Store: kept,
			Report: func(e finetune.Event) error {
				if e.Kind == finetune.Stepped {
					rates = append(rates, e.LearningRate)
				} else if e.Kind == finetune.Fitted {
					fitted = e.Plan
				}
				return nil
			},
		})
		if now.Sub(time.Unix(0, 0)) > 40*time.Second {
			t.Errorf("slow %v: took %v", slow, now.Sub(time.Unix(0, 0)))
		}
		if slow {
			if r.Stop != finetune.OutOfTime || r.Steps > 18 || r.Steps < 15 {
				t.Errorf("slow: stop %q after %d steps", r.Stop, r.Steps)
			}
			again := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{16, 8, 0}}, finetune.Config{Epochs: 20, BatchSize: 4, MaxTime: 40 * time.Second, Patience: -1, Store: kept})
			if again.Stop != r.Stop || again.Steps != r.Steps {
				t.Errorf("taken up, it stops %q after %d steps", again.Stop, again.Steps)
			}
			continue
		}
		if r.Stop != finetune.AllSteps || r.Steps < 30 || fitted.Steps != r.Steps || r.Last == nil || r.Last.Epoch != fitted.Epochs {
			t.Errorf("stop %q after %d steps, plan %+v, last %+v", r.Stop, r.Steps, fitted, r.Last)
		}
		if first, last := rates[8], rates[len(rates)-1]; last > first/50 {
			t.Errorf("the rate went from %v to %v: the schedule was not fitted", first, last)
		}
	}
}

// Classes that the head does not have are an error.
func TestLabels(t *testing.T) {
	for _, s := range []finetune.Split{finetune.Training, finetune.Validation} {
		d := &mislabelled{toy{rows: [3]int{8, 8, 0}}, s}
		_, err := finetune.Train(context.Background(), toyNet(t, 0), &spy{}, classify.Task{}, d, finetune.Config{Epochs: 1, BatchSize: 4})
		if err == nil || !strings.Contains(err.Error(), "row 5 of split "+s.String()+" is of class 7") {
			t.Errorf("error %v", err)
		}
	}
}

// mislabelled has a row of a class that the head does not have.
type mislabelled struct {
	toy
	split finetune.Split
}

func (d *mislabelled) fill(ctx context.Context, s finetune.Split, rows []int, epoch int, dst []float32, labels []int) error {
	err := d.toy.fill(ctx, s, rows, epoch, dst, labels)
	if i := slices.Index(rows, 5); i >= 0 && s == d.split {
		labels[i] = 7
	}
	return err
}

func (d *mislabelled) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	return load(ctx, d, s, epoch, b)
}

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

// Loading ahead does not change results.
func TestPrefetch(t *testing.T) {
	run := func(wait func()) []float32 {
		net, x := toyNet(t, .3), &spy{}
		train(t, net, x, &toy{rows: [3]int{10, 5, 0}, augmented: true, hook: func(finetune.Split) { wait() }}, finetune.Config{Epochs: 3, BatchSize: 4})
		return values(t, net, x, graph.Parameter, "s1.w")
	}
	r := rand.New(rand.NewPCG(3, 4))
	if !slices.Equal(run(func() {}), run(func() { time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond) })) {
		t.Error("the time that loading takes changes the weights")
	}
}

func TestReportError(t *testing.T) {
	stop := errors.New("disk full")
	_, err := finetune.Train(context.Background(), toyNet(t, 0), &spy{}, classify.Task{}, &toy{rows: [3]int{8, 0, 0}}, finetune.Config{Report: func(finetune.Event) error { return stop }})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

// Adapted statistics depend only on the images, not on the old statistics.
func TestAdaptForgets(t *testing.T) {
	net, d := toyNet(t, .3), &toy{rows: [3]int{20, 0, 0}}
	var first []float32
	for _, before := range []float32{0, 1e4} {
		x := &spy{}
		if err := finetune.Load(net, x); err != nil {
			t.Fatal(err)
		}
		for _, p := range net.Params() {
			if p.Kind.Statistic() {
				if err := x.Write(graph.Variable{Name: p.Name}, slices.Repeat([]float32{before}, p.Shape.Size())); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := finetune.Adapt(context.Background(), net, x, d, finetune.AdaptConfig{BatchSize: 8}); err != nil {
			t.Fatal(err)
		}
		all := slices.Concat(values(t, net, x, graph.Parameter, "s1.mean"), values(t, net, x, graph.Parameter, "s2.var"))
		if first == nil {
			first = all
		} else if !slices.Equal(all, first) {
			t.Errorf("statistics that were %v become %v, want %v", before, all, first)
		}
	}
}
