package finetune_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
)

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
