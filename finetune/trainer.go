package finetune

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
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
	t.plan.Memory = max(Memory(full), Memory(t.scoring))
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

// resume takes up what the store has.
func (t *trainer) resume() error {
	if t.Store == nil {
		return nil
	}
	s, err := t.Store.Load()
	if errors.Is(err, ErrNoState) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.check(&t.state); err != nil {
		return err
	}
	for _, c := range t.changed {
		values := make([]float32, c.Shape.Size())
		if err := s.Read(c.Name, values); err != nil {
			return fmt.Errorf("finetune: continue: %w", err)
		}
		if err := t.x.Write(c.Name, values); err != nil {
			return err
		}
		if name := bestPrefix + c.Name; s.has(name) {
			values := make([]float32, c.Shape.Size())
			if err := s.Read(name, values); err != nil {
				return fmt.Errorf("finetune: continue: %w", err)
			}
			t.hold(c.Name, values)
		}
	}
	s.Tensors, s.Read = nil, nil
	t.state, t.plan.Length = *s, s.Length
	t.plan.Epochs = (s.Length.Steps + s.Length.Epoch - 1) / s.Length.Epoch
	t.clock.before, t.saved = s.Elapsed, &Position{s.Epoch, s.Step}
	return nil
}

// rows are those of the steps that are left of the epoch.
func (t *trainer) rows() []int {
	all := order(t.Seed, t.state.Epoch, t.plan.Rows)[:t.plan.Rows-t.plan.LeftOut]
	done := t.state.Epoch * t.plan.Epoch
	return all[min((t.state.Step-done)*t.Batch, len(all)):min((t.plan.Steps-done)*t.Batch, len(all))]
}

// weights are the parameters among what steps change.
func (t *trainer) weights() (out []Tensor) {
	for _, c := range t.changed {
		if !strings.HasPrefix(c.Name, graph.FirstSum) && !strings.HasPrefix(c.Name, graph.SecondSum) && !strings.HasPrefix(c.Name, graph.Average) {
			out = append(out, c)
		}
	}
	return out
}

// evaluated is the state tensor that stands for a weight in evaluations.
func (t *trainer) evaluated(name string) string {
	if t.EMA > 0 {
		return graph.Average + name
	}
	return name
}

func (t *trainer) hold(name string, values []float32) {
	if t.best == nil {
		t.best = map[string][]float32{}
	}
	t.best[name] = values
}

// keep closes an epoch: it counts it, and holds the weights where they are the
// best so far, or where nothing can tell.
func (t *trainer) keep(s Score) error {
	steps := t.state.Step - t.state.Epoch*t.plan.Epoch
	s.Epoch, s.TrainLoss = t.state.Epoch+1, t.state.Losses/float64(max(steps, 1))
	better := t.state.Best == nil || s.N == 0 || s.better(*t.state.Best, t.PerClass)
	t.state.Epoch, t.state.Losses, t.state.Last = t.state.Epoch+1, 0, &s
	t.state.Stale++
	if better {
		t.state.Best, t.state.Stale = &s, 0
		for _, w := range t.weights() {
			values := t.best[w.Name]
			if values == nil {
				values = make([]float32, w.Shape.Size())
				t.hold(w.Name, values)
			}
			if err := t.x.Read(t.evaluated(w.Name), values); err != nil {
				return err
			}
		}
	}
	t.ended()
	model := func() (*onnx.Model, error) { return t.model(t.now32) }
	return t.report(Event{Kind: Evaluated, Split: Validation, Score: s, Best: better, Model: model})
}

// better compares by accuracy, and by loss where that is the same.
func (s Score) better(than Score, perClass bool) bool {
	a, b := s.Top1, than.Top1
	if perClass {
		a, b = s.MeanPerClass, than.MeanPerClass
	}
	return a > b || a == b && s.Loss < than.Loss
}

// ended tells why no epoch will follow, if so.
func (t *trainer) ended() {
	switch {
	case t.plan.Validation > 0 && t.Patience > 0 && t.state.Stale >= t.Patience:
		t.stop = OutOfPatience
	case t.state.Step >= t.plan.Steps && t.state.Epoch*t.plan.Epoch >= t.plan.Steps:
		t.stop = AllSteps
		if t.clock.over {
			t.stop = OutOfTime
		}
	}
}

// model is the network with other weights where steps change them.
func (t *trainer) model(read func(name string, dst []float32) error) (*onnx.Model, error) {
	changed := map[string]bool{}
	for _, w := range t.weights() {
		changed[w.Name] = true
	}
	return t.net.Export(func(name string, dst []float32) error {
		if changed[name] {
			return read(name, dst)
		}
		values, err := t.net.Values(name)
		copy(dst, values)
		return err
	})
}

// now32 reads a weight as evaluations see it.
func (t *trainer) now32(name string, dst []float32) error { return t.x.Read(t.evaluated(name), dst) }

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

// save keeps a checkpoint.
func (t *trainer) save() error {
	if t.Store == nil {
		return nil
	}
	s := t.state
	s.Elapsed, s.Length = t.clock.elapsed(), t.plan.Length
	s.Tensors = append([]Tensor(nil), t.changed...)
	for _, w := range t.weights() {
		if t.best[w.Name] != nil {
			s.Tensors = append(s.Tensors, Tensor{bestPrefix + w.Name, w.Shape})
		}
	}
	s.Read = func(name string, dst []float32) error {
		if of, ok := strings.CutPrefix(name, bestPrefix); ok {
			copy(dst, t.best[of])
			return nil
		}
		if err := t.x.Read(name, dst); err != nil {
			return err
		}
		for _, v := range dst {
			if !finite(float64(v)) {
				return t.diverged("tensor "+name, t.rate(max(t.state.Step-1, 0)))
			}
		}
		return nil
	}
	if err := t.Store.Save(&s); err != nil {
		return err
	}
	t.saved = &Position{s.Epoch, s.Step}
	return nil
}

func (t *trainer) diverged(what string, rate float64) error {
	return &Diverged{What: what, Epoch: (t.state.Step-1)/t.plan.Epoch + 1, Step: t.state.Step, Rate: rate, Saved: t.saved}
}

// end closes the training, after an error or not: that of the context is an
// interruption.
func (t *trainer) end(ctx context.Context, cause error) (*Result, error) {
	if d := (*Diverged)(nil); cause != nil && (ctx.Err() == nil || errors.As(cause, &d)) {
		return nil, cause
	}
	r := &Result{Best: t.state.Best, Last: t.state.Last}
	if cause == nil && t.data.Rows(Test) > 0 {
		if cause = t.test(ctx, r); cause != nil && ctx.Err() == nil {
			return nil, cause
		}
	} else if cause != nil && t.state.Step > 0 {
		if err := t.save(); err != nil {
			return nil, err
		}
	}
	if cause != nil {
		t.stop = Canceled
	}
	r.Stop, r.Plan, r.Steps, r.Missed, r.Elapsed = t.stop, t.plan, t.state.Step, len(t.missed), t.clock.elapsed()
	var err error
	if r.LastModel, err = t.model(t.now32); err != nil {
		return nil, err
	}
	if t.best != nil {
		if r.BestModel, err = t.model(func(name string, dst []float32) error { copy(dst, t.best[name]); return nil }); err != nil {
			return nil, err
		}
	}
	return r, t.report(Event{Kind: Ended, Stop: t.stop})
}

// test evaluates the best weights on the rows to test.
func (t *trainer) test(ctx context.Context, r *Result) error {
	last := map[string][]float32{}
	for _, w := range t.weights() {
		last[w.Name] = make([]float32, w.Shape.Size())
		if err := t.x.Read(t.evaluated(w.Name), last[w.Name]); err != nil {
			return err
		}
	}
	write := func(values map[string][]float32) error {
		for name, v := range values {
			if err := t.x.Write(t.evaluated(name), v); err != nil {
				return err
			}
		}
		return nil
	}
	if err := write(t.best); err != nil {
		return err
	}
	score, err := t.evaluate(ctx, Test)
	if err := errors.Join(err, write(last)); err != nil {
		return err
	}
	score.Epoch, r.Test = t.state.Best.Epoch, &score
	return t.report(Event{Kind: Evaluated, Split: Test, Score: score})
}

// clock tells how long things take.
type clock struct {
	now    func() time.Time
	began  time.Time
	before time.Duration // of earlier sittings
	ticks  []time.Time   // ends of the last steps
	sizes  []int         // their rows
	steps  int           // in this sitting
	scores time.Duration // of the last evaluation; 0: none yet
	over   bool
}

func (c *clock) elapsed() time.Duration { return c.before + c.now().Sub(c.began) }
