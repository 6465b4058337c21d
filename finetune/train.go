package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// Result is the result of training.
type Result struct {
	Stop    Stop
	Plan    Plan
	Steps   int
	Best    *Score // of the best epoch on the validation rows, or the last epoch if there are none, or of the start (Config.ScoreStart); nil before any of them
	Last    *Score
	Test    *Score  // of the best weights; nil without test rows
	Doubts  []Doubt // reasons to distrust a training that ended
	Missed  int     // rows that could not be read in this call
	Elapsed time.Duration

	BestModel *onnx.Model // nil if Best is
	LastModel *onnx.Model // reads the executor's variables when it is written

	// Added holds the parameters that the task added to the model's, as of the best
	// epoch.
	Added  map[string][]float32
	shapes map[string]graph.Shape
}

// Diverged is the error of a loss or of weights that have become infinite or NaN.
type Diverged struct {
	What         string // "loss" or the name of a tensor
	Epoch, Step  int    // counted from 1
	LearningRate float64
	Saved        *Position // position of the last checkpoint; nil: none
}

// Position is the number of epochs and steps that are done.
type Position struct{ Epoch, Step int }

func (e *Diverged) Error() string {
	kept := "no checkpoint was saved before"
	if e.Saved != nil {
		kept = fmt.Sprintf("the last good checkpoint is that after step %d (%d whole epochs)", e.Saved.Step, e.Saved.Epoch)
	}
	return fmt.Sprintf("finetune: training diverged: the %s is not finite at step %d of epoch %d, learning rate %g; %s; expected a smaller learning rate, or clipping, to keep it finite",
		e.What, e.Step, e.Epoch, e.LearningRate, kept)
}

// Train trains a network for a task on data. It starts from the model's weights or
// from the checkpoint in Config.Store. The executor must not be used for anything
// else meanwhile. When ctx ends, training stops after the current step, saves a
// checkpoint, and returns the result so far (Stop is Canceled) and no error.
func Train(ctx context.Context, net *graph.Network, x Executor, task Task, data Data, c Config) (result *Result, err error) {
	defer recovered(&err)
	t, err := newTrainer(net, x, task, data, c)
	if err != nil {
		return nil, err
	}
	if err := t.start(ctx); err != nil {
		return t.end(ctx, err)
	}
	if err := t.scoreStart(ctx); err != nil {
		return t.end(ctx, err)
	}
	for t.stop == "" {
		for b, err := range batches(ctx, t.data, Training, t.rows(), t.state.Epoch, t.BatchSize) {
			if err != nil {
				return t.end(ctx, err)
			}
			lr := t.learningRate(t.state.Step)
			loss, losses, err := t.step(b, lr)
			var bad *NotFinite
			if err == nil && !finite(loss) {
				bad = &NotFinite{"loss"}
			} else if err != nil && !errors.As(err, &bad) {
				return nil, err
			}
			t.state.Step++
			if bad != nil {
				return nil, t.diverged(bad.What, lr)
			}
			t.state.Losses += loss
			if b.N() > 0 {
				t.noteLoss(loss)
			}
			if err := t.report(Event{Kind: Stepped, Loss: loss, Losses: losses, LearningRate: lr, Rows: b.N()}); err != nil {
				return nil, err
			}
			if ctx.Err() != nil {
				return t.end(ctx, ctx.Err())
			}
			if late, err := t.outOfTime(); err != nil {
				return nil, err
			} else if late {
				break
			}
		}
		score, err := t.evaluate(ctx, Validation)
		if err != nil {
			return t.end(ctx, err)
		}
		if err := t.endEpoch(score); err != nil {
			return nil, err
		}
		if err := t.save(); err != nil {
			return nil, err
		}
	}
	return t.end(ctx, nil)
}

// recovered turns a panic, usually one of gorgonia's, into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("finetune: internal error: %v", p)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
