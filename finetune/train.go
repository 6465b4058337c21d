package finetune

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// Result is what training has led to.
type Result struct {
	Stop    Stop
	Plan    Plan
	Steps   int
	Best    *Score // by the validation rows; without any, the last epoch's. nil before the first epoch's end
	Last    *Score
	Test    *Score // of the best weights, where there are rows to test
	Missed  int    // rows that could not be read, since this call began
	Elapsed time.Duration

	BestModel *onnx.Model // nil before the first epoch's end
	LastModel *onnx.Model // reads the executor when it is written

	// Added are the parameters that the task has added to the model's, with their
	// values in the best epoch.
	Added map[string][]float32
}

// Diverged is the error of a loss or of weights that are not finite any more.
type Diverged struct {
	What         string // "loss" or the name of a tensor
	Epoch, Step  int    // from 1 on
	LearningRate float64
	Saved        *Position // of the checkpoint that is kept; nil: none
}

// Position is how far a State is.
type Position struct{ Epoch, Step int }

func (e *Diverged) Error() string {
	kept := "no checkpoint was saved before"
	if e.Saved != nil {
		kept = fmt.Sprintf("the last good checkpoint is that after step %d (%d whole epochs)", e.Saved.Step, e.Saved.Epoch)
	}
	return fmt.Sprintf("finetune: training diverged: the %s is not finite at step %d of epoch %d, learning rate %g; %s; expected a smaller learning rate, or clipping, to keep it finite",
		e.What, e.Step, e.Epoch, e.LearningRate, kept)
}

// Train trains a network's weights for a task on data, on an executor of its own,
// from the model's weights or from what Config.Store has kept. A training that
// ctx interrupts ends after the step it is in, with everything saved, and is no
// error.
func Train(ctx context.Context, net *graph.Network, x Executor, task Task, data Data, c Config) (result *Result, err error) {
	defer recovered(&err)
	t, err := newTrainer(net, x, task, data, c)
	if err != nil {
		return nil, err
	}
	if err := t.start(ctx); err != nil {
		return t.end(ctx, err)
	}
	for t.stop == "" {
		for b, err := range batches(ctx, t.data, Training, t.rows(), t.state.Epoch, t.BatchSize) {
			if err != nil {
				return t.end(ctx, err)
			}
			lr := t.learningRate(t.state.Step)
			loss, err := t.step(b, lr)
			if err != nil {
				return nil, err
			}
			t.state.Step++
			if !finite(loss) {
				return nil, t.diverged("loss", lr)
			}
			t.state.Losses += loss
			if err := t.report(Event{Kind: Stepped, Loss: loss, LearningRate: lr, Rows: b.N()}); err != nil {
				return nil, err
			}
			if ctx.Err() != nil {
				return t.end(ctx, ctx.Err())
			}
			if late, err := t.late(); err != nil {
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

// recovered turns a panic into an error: gorgonia's, which rtx calls for every
// graph it makes and runs.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("finetune: internal error: %v", p)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
