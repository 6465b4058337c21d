package finetune

import (
	"cmp"
	"context"
	"fmt"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// trainer is a training in progress.
type trainer struct {
	Config
	config graph.Config // common to all programs
	net    *graph.Network
	x      Executor
	task   Task
	data   Data
	plan   Plan

	steps    map[int]Step // by number of rows
	scorer   Scorer
	features *graph.Program // computes features, if that is done once; else nil
	updated  []Tensor       // variables that steps update
	added    []graph.Added  // parameters that the task adds

	state  State
	best   map[string][]float32 // parameters of the best epoch
	saved  *Position
	missed map[missedRow]bool
	stop   Stop
	clock
}

type missedRow struct {
	split Split
	row   int
}

func newTrainer(net *graph.Network, x Executor, task Task, data Data, c Config) (*trainer, error) {
	rows := data.Rows(Training)
	c, err := c.Resolved(rows)
	if err != nil {
		return nil, err
	}
	t := &trainer{Config: c, net: net, x: x, task: task, data: data, steps: map[int]Step{}, missed: map[missedRow]bool{}}
	t.clock = clock{now: c.Now, began: c.Now()}
	rule, err := c.Rules.of(net)
	if err != nil {
		return nil, err
	}
	t.config = graph.Config{Size: t.Size, Adapt: !t.Frozen, Train: rule}
	if least := 2; rows < least && !t.Frozen || rows < 1 || t.BatchSize < least && !t.Frozen {
		return nil, fmt.Errorf("finetune: %d rows to train on in batches of %d, expected two at least where batch norms adapt, and one where they are frozen", rows, t.BatchSize)
	}
	if err := t.startFromFeatures(); err != nil {
		return nil, err
	}
	return t, t.build(rows)
}

// build builds the programs and the plan.
func (t *trainer) build(rows int) error {
	full, err := t.stepOf(min(t.BatchSize, rows))
	if err != nil {
		return err
	}
	t.collect(full.Programs())
	if err := t.Rules.checkHead(t.parameters()); err != nil {
		return err
	}
	for _, p := range t.parameters() {
		if _, trained := t.config.Train(p); trained {
			t.plan.Parameters += p.Shape.Size()
		}
	}
	if t.plan.Parameters == 0 {
		return fmt.Errorf("finetune: mode %s trains no parameter of the network", t.Rules.Mode)
	}
	c := t.config
	if c.Batch = t.BatchSize; t.EMA > 0 {
		c.Averaged = true
	} else {
		c.Train, c.Adapt = nil, false
	}
	if t.scorer, err = t.task.Scorer(t.net, c); err != nil {
		return err
	}
	t.plan.Memory, t.plan.State = max(Memory(resident(full)...), Memory(resident(t.scorer)...)), stateMemory(resident(full)...)
	if t.features != nil {
		t.plan.Memory = max(t.plan.Memory, Memory(t.features))
		t.plan.Cached = true
	}
	t.plan.Rows, t.plan.Validation = rows, t.data.Rows(Validation)
	t.plan.LeftOut, t.plan.Epoch = t.leftOut(rows), t.stepsPerEpoch(rows)
	t.plan.Epochs, t.plan.Steps = t.Epochs, cmp.Or(t.Steps, t.Epochs*t.plan.Epoch)
	t.state = State{Seed: t.Seed, Batch: t.BatchSize, Rows: rows, Validation: t.plan.Validation, Length: t.plan.Length}
	return nil
}

// stepOf returns the step for a number of rows. If batch norms are frozen, rows do
// not influence each other, so one step serves all batches: short ones are padded
// with rows of weight 0. Batch norms that adapt need a step for each number of rows,
// so that padding does not enter the statistics.
func (t *trainer) stepOf(rows int) (Step, error) {
	if t.Frozen {
		rows = t.BatchSize
	}
	if s, ok := t.steps[rows]; ok {
		return s, nil
	}
	c := t.config
	c.Batch, c.Optimizer, c.Clip, c.EMA = rows, t.Optimizer, t.Clip, t.EMA
	s, err := t.task.Step(t.net, c)
	if err != nil {
		return nil, err
	}
	t.steps[rows] = s
	return s, nil
}

// collect lists the variables that programs update, except those that only carry
// values between the programs of a step, and the parameters that programs add.
func (t *trainer) collect(programs []*graph.Program) {
	seen := map[graph.Variable]bool{}
	known := map[string]bool{}
	for _, p := range programs {
		for _, u := range p.Updates {
			if !seen[u.Variable] && u.Slot != graph.Carried {
				t.updated = append(t.updated, Tensor{Variable: u.Variable, Shape: p.Nodes[u.Node].Shape})
			}
			seen[u.Variable] = true
		}
		for _, a := range p.Added {
			if !known[a.Name] {
				t.added = append(t.added, a)
			}
			known[a.Name] = true
		}
	}
}

// parameters lists the parameters of the network and those that the task adds.
func (t *trainer) parameters() []graph.Param {
	all := t.net.Params()
	for _, a := range t.added {
		all = append(all, a.Param)
	}
	return all
}

// start fills the executor's variables, from the checkpoint if the store has one.
func (t *trainer) start(ctx context.Context) error {
	if err := Load(t.net, t.x); err != nil {
		return err
	}
	first := map[string][]float32{}
	for _, a := range t.added {
		first[a.Name] = a.Start
		if err := t.x.Write(graph.Variable{Name: a.Name}, a.Start); err != nil {
			return err
		}
	}
	for _, c := range t.updated {
		values := make([]float32, c.Shape.Size())
		switch c.Slot {
		case graph.Parameter:
			continue
		case graph.Average: // starts as the parameter
			values = first[c.Name]
			if values == nil {
				var err error
				if values, err = t.net.Values(c.Name); err != nil {
					return err
				}
			}
		}
		if err := t.x.Write(c.Variable, values); err != nil {
			return err
		}
	}
	if err := t.resume(); err != nil {
		return err
	}
	t.checkStop() // the checkpoint may be of a training that is complete
	lines := t.state.Lines
	if err := t.report(Event{Kind: Started, Lines: lines}); err != nil {
		return err
	}
	return t.computeFeatures(ctx)
}

// rows returns the rows of the remaining steps of the epoch.
func (t *trainer) rows() []int {
	var all []int
	if d, ok := t.data.(Ordered); ok {
		all = d.Order(t.Seed, t.state.Epoch)
	} else {
		all = order(t.Seed, t.state.Epoch, t.plan.Rows)
	}
	all = all[:t.plan.Rows-t.plan.LeftOut]
	done := t.state.Epoch * t.plan.Epoch
	return all[min((t.state.Step-done)*t.BatchSize, len(all)):min((t.plan.Steps-done)*t.BatchSize, len(all))]
}

// report calls Config.Report with an event, after filling in the fields that all
// events have.
func (t *trainer) report(e Event) error {
	if e.Kind == Started && e.Lines == 0 || e.Kind == Stepped || e.Kind == Evaluated {
		t.state.Lines++
	}
	e.Plan, e.Step, e.Epoch = t.plan, t.state.Step, t.state.Epoch
	if e.Kind == Stepped {
		e.Epoch++
		e.ImagesPerSecond, e.Left = t.clock.tick(e.Rows), t.remaining()
	}
	if err := t.Report(e); err != nil {
		return fmt.Errorf("finetune: report: %w", err)
	}
	return nil
}
