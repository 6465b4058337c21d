package finetune

import (
	"context"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// trainer is a training under way.
type trainer struct {
	Config
	config graph.Config // what all programs have in common
	net    *graph.Network
	x      Executor
	data   Data
	width  int // values of a row of the input
	plan   Plan

	quarter bool // of the steps is the most that warming up takes

	programs map[int]*graph.Program // steps, by their rows
	scoring  *graph.Program
	features *graph.Program // where they are computed once
	changed  []Tensor       // state tensors that steps change

	state  State
	best   map[string][]float32 // of the best epoch
	saved  *Position
	missed map[missing]bool
	stop   Stop
	clock
}

type missing struct {
	split Split
	row   int
}

func newTrainer(net *graph.Network, x Executor, data Data, c Config) (*trainer, error) {
	quarter := c.Warmup == 0
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &trainer{Config: c, net: net, x: x, data: data, quarter: quarter, programs: map[int]*graph.Program{}, missed: map[missing]bool{}}
	t.clock = clock{now: c.Now, began: c.Now()}
	if t.Size == [2]int{} {
		t.Size = net.Spec().InputSize
	}
	t.width = 3 * t.Size[0] * t.Size[1]
	rule, err := c.Rules.For(net)
	if err != nil {
		return nil, err
	}
	t.config = graph.Config{Size: t.Size, Adapt: !t.Frozen, Train: rule}
	rows := data.Rows(Training)
	if least := 2; rows < least && !t.Frozen || rows < 1 || t.Batch < least && !t.Frozen {
		return nil, fmt.Errorf("finetune: %d rows to train on in batches of %d, expected two at least where batch norms adapt, and one where they are frozen", rows, t.Batch)
	}
	if err := t.cut(); err != nil {
		return nil, err
	}
	return t, t.build(rows)
}

// build makes the programs and the plan.
func (t *trainer) build(rows int) error {
	full, err := t.program(min(t.Batch, rows))
	if err != nil {
		return err
	}
	for _, u := range full.Updates {
		t.changed = append(t.changed, Tensor{u.Name, full.Nodes[u.Node].Shape})
	}
	for _, p := range t.net.Params() {
		if _, trained := t.config.Train(p); trained {
			t.plan.Parameters += p.Shape.Size()
		}
	}
	if t.plan.Parameters == 0 {
		return fmt.Errorf("finetune: mode %s trains no parameter of the network", t.Rules.Mode)
	}
	c := t.config
	if c.Batch = t.Batch; t.EMA > 0 {
		c.Averaged = true
	} else {
		c.Train, c.Adapt = nil, false
	}
	if t.scoring, err = t.net.Program(c); err != nil {
		return err
	}
	t.plan.Memory, t.plan.State = max(Memory(full), Memory(t.scoring)), kept(full)
	if t.features != nil {
		t.plan.Memory = max(t.plan.Memory, Memory(t.features))
		t.plan.Cached = true
	}
	classes := 0
	for _, o := range full.Outputs {
		if o.Name == graph.Logits {
			classes = full.Nodes[o.Node].Shape[1]
		}
	}
	t.plan.Rows, t.plan.Validation = rows, t.data.Rows(Validation)
	if !t.Frozen && rows > t.Batch && rows%t.Batch == 1 {
		t.plan.LeftOut = 1 // its statistics would be those of one image
	}
	t.plan.Epoch = (rows - t.plan.LeftOut + t.Batch - 1) / t.Batch
	t.plan.Epochs, t.plan.Steps = t.Epochs, t.Epochs*t.plan.Epoch
	t.state = State{Seed: t.Seed, Batch: t.Batch, Rows: rows, Validation: t.plan.Validation, Classes: classes, Length: t.plan.Length}
	return nil
}

// start fills the executor's state, from the store where that has one.
func (t *trainer) start(ctx context.Context) error {
	if err := Load(t.net, t.x); err != nil {
		return err
	}
	for _, c := range t.changed {
		values := make([]float32, c.Shape.Size())
		switch name, average := strings.CutPrefix(c.Name, graph.Average); {
		case average:
			w, err := t.net.Values(name)
			if err != nil {
				return err
			}
			values = w
		case !strings.HasPrefix(c.Name, graph.FirstSum) && !strings.HasPrefix(c.Name, graph.SecondSum):
			continue
		}
		if err := t.x.Write(c.Name, values); err != nil {
			return err
		}
	}
	if err := t.resume(); err != nil {
		return err
	}
	t.ended() // where there is nothing left to do
	lines := t.state.Lines
	if err := t.report(Event{Kind: Started, Lines: lines}); err != nil {
		return err
	}
	return t.cache(ctx)
}

// rows are those of the steps that are left of the epoch.
func (t *trainer) rows() []int {
	all := order(t.Seed, t.state.Epoch, t.plan.Rows)[:t.plan.Rows-t.plan.LeftOut]
	done := t.state.Epoch * t.plan.Epoch
	return all[min((t.state.Step-done)*t.Batch, len(all)):min((t.plan.Steps-done)*t.Batch, len(all))]
}

// report fills in what all events have.
func (t *trainer) report(e Event) error {
	if e.Kind == Started && e.Lines == 0 || e.Kind == Stepped || e.Kind == Evaluated {
		t.state.Lines++
	}
	e.Plan, e.Step, e.Epoch = t.plan, t.state.Step, t.state.Epoch
	if e.Kind == Stepped {
		e.Epoch++
		e.ImagesPerSecond, e.Left = t.clock.tick(e.Rows), t.left()
	}
	if err := t.Report(e); err != nil {
		return fmt.Errorf("finetune: report: %w", err)
	}
	return nil
}
