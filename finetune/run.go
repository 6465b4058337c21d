package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// Run is several trainings for one task on the same data: with the first seed, one for
// each learning rate; then, with the learning rate that was best on the validation
// rows, one for each further seed. Their results are kept in a folder, from which an
// interrupted run continues.
//
//	FOLDER/weights/best.onnx, last.onnx   models of the best and the last epoch, replaced as training goes on
//	FOLDER/weights/added.safetensors      parameters that the task adds, as of the best epoch
//	FOLDER/metrics.jsonl                  one line for each start, step, evaluation and end
//	FOLDER/state/...                      checkpoint, or the outcome of a training that is done
//
// last.onnx and what Run.Epoch adds are written after every epoch. If epochs are so
// short that this would take more than a tenth of the time, only after some of them,
// and in any case when training ends or is interrupted; the last.onnx of an
// interrupted training is of the step that it was interrupted at.
//
// If there are several trainings, each has such a folder, "seed-S", "lr-R" or
// "seed-S/lr-R", and FOLDER has copies of the first seed's weights. The caller must lock
// the folder and check that it is of the same settings: see RunLayout and package
// featurize/output.
type Run struct {
	Folder string
	Task   Task
	Data   Data

	// Network returns the network for a seed, for instance with a new head.
	Network func(seed uint64) (*graph.Network, error)
	// Executor returns an executor for a training, which is closed afterwards.
	Executor func() (Executor, error)

	// Export makes what is written to the weights' files of a model that was trained;
	// nil: the model itself.
	Export func(m *onnx.Model) (*onnx.Model, error)

	Config        Config    // of all trainings; Seed is the first seed; Store and Report are set by the run
	LearningRates []float64 // to choose from; nil: Config.LearningRate alone
	Seeds         int       // 0: 1

	Begin  func(t *Trial) error             // is called before a training begins or continues; nil: none
	Report func(t *Trial, e Event) error    // is called with each event, before the event is written to the folder; nil: none
	Epoch  func(t *Trial, dir string) error // is called after epochs, when their evaluations are in the training's folder, dir, and may add files to it; nil: none
	Finish func(t *Trial, dir string) error // is called after the models of a training are written and verified, and may add files to its folder, dir; nil: none
}

// Trial is one training of a run.
type Trial struct {
	Seed         uint64  `json:"seed"`
	LearningRate float64 `json:"lr"`
	Dir          string  `json:"dir"` // relative to the run's folder; "" if there is only one training
	Outcome
}

// Outcome is the result of a training as it is kept in its folder.
type Outcome struct {
	Stop    Stop    `json:"stop"`
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
	Best    *Score  `json:"best"`
	Last    *Score  `json:"last"`
	Test    *Score  `json:"test"`
	Plan    Plan    `json:"plan"`
	Doubts  []Doubt `json:"doubts,omitempty"`

	// Verify has the reports of the independent readings of the models that were
	// written; Best is nil if there is no such model.
	Verify struct {
		Best *verify.Report `json:"best"`
		Last *verify.Report `json:"last"`
	} `json:"verify"`
}

// RunResult is the result of a run.
type RunResult struct {
	Trials []*Trial // all trainings, in the order in which they began
	Seeds  []*Trial // for each seed, the training with the chosen learning rate
}

// Files in the folder of a training.
const (
	BestFile    = "weights/best.onnx"
	LastFile    = "weights/last.onnx"
	AddedFile   = "weights/added.safetensors" // Result.Added; there is none if the task adds no parameters
	MetricsFile = "metrics.jsonl"
	stateFile   = "state/state.safetensors"
	outcomeFile = "state/outcome.json"
)

// RunLayout is the layout of a run's folder, which is recognised by run.json; more names
// files that the caller adds to it.
func RunLayout(more ...string) output.Layout {
	return output.Layout{
		Kind: "run", State: "state",
		Files: append(append([]string{MetricsFile, BestFile, LastFile, AddedFile}, more...), output.RunFile),
		Parts: []string{"seed-*", "lr-*", "seed-*/lr-*"},
	}
}

// Train does the trainings that are not done yet. When ctx ends, the error is its cause,
// and the result has the trials so far.
func (r *Run) Train(ctx context.Context) (*RunResult, error) {
	result := &RunResult{}
	rates := r.LearningRates
	if len(rates) == 0 {
		c, err := r.Config.withDefaults()
		if err != nil {
			return result, err
		}
		rates = []float64{c.LearningRate}
	}
	several := len(rates) > 1
	for i := range max(r.Seeds, 1) {
		seed := r.Config.Seed + uint64(i)
		chosen, _, err := ChooseLearningRate(rates, r.Task.Figure(), func(lr float64) (*Result, error) {
			t := &Trial{Seed: seed, LearningRate: lr, Dir: r.dir(seed, lr, several)}
			result.Trials = append(result.Trials, t)
			return r.train(ctx, t)
		})
		if err != nil {
			return result, err
		}
		for _, t := range result.Trials {
			if t.Seed == seed && t.LearningRate == chosen {
				result.Seeds = append(result.Seeds, t)
				break
			}
		}
		rates = []float64{chosen} // further seeds use the choice of the first
	}
	if first := result.Seeds[0]; first.Dir != "" {
		for _, name := range []string{BestFile, LastFile, AddedFile} {
			from := filepath.Join(r.Folder, first.Dir, name)
			if _, err := os.Stat(from); name == AddedFile && errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err := output.Copy(ctx, from, filepath.Join(r.Folder, name)); err != nil {
				return result, err
			}
		}
	}
	return result, nil
}

// dir is the folder of a trial, relative to the run's folder; "" if there is only one
// trial.
func (r *Run) dir(seed uint64, lr float64, severalRates bool) string {
	var parts []string
	if r.Seeds > 1 {
		parts = append(parts, fmt.Sprintf("seed-%d", seed))
	}
	if severalRates {
		parts = append(parts, fmt.Sprintf("lr-%g", lr))
	}
	return filepath.Join(parts...)
}

// train does one training, continues it, or returns its outcome if it is done.
func (r *Run) train(ctx context.Context, t *Trial) (*Result, error) {
	w := &trialWriter{run: r, trial: t, dir: filepath.Join(r.Folder, t.Dir)}
	if done, err := w.open(); err != nil || done {
		return &Result{Stop: t.Stop, Steps: t.Steps, Best: t.Best, Last: t.Last, Test: t.Test, Plan: t.Plan}, err
	}
	net, err := r.Network(t.Seed)
	if err != nil {
		return nil, err
	}
	x, err := r.Executor()
	if err != nil {
		return nil, err
	}
	defer x.Close()
	if r.Begin != nil {
		if err := r.Begin(t); err != nil {
			return nil, err
		}
	}
	c := r.Config
	c.Seed, c.LearningRate, c.Store, c.Report = t.Seed, t.LearningRate, FileStore(w.path(stateFile)), func(e Event) error { return w.event(ctx, e) }
	result, err := Train(ctx, net, x, r.Task, r.Data, c)
	if err := errors.Join(err, w.close()); err != nil {
		return nil, err
	}
	if result.Stop == Canceled {
		return nil, errors.Join(context.Cause(ctx), w.interrupted(ctx, result))
	}
	t.Outcome = Outcome{
		Stop: result.Stop, Steps: result.Steps, Seconds: result.Elapsed.Seconds(),
		Best: result.Best, Last: result.Last, Test: result.Test, Plan: result.Plan, Doubts: result.Doubts,
	}
	return result, w.finish(ctx, result)
}

// Judged is the split that the figures of a run are for: the test rows if there are any,
// else the validation rows, which also chose the epoch. If there are neither, ok is
// false.
func (r *RunResult) Judged() (s Split, ok bool) {
	if len(r.Seeds) == 0 {
		return Training, false
	}
	first := r.Seeds[0]
	switch {
	case first.Test != nil:
		return Test, true
	case first.Best != nil && first.Best.N > 0:
		return Validation, true
	}
	return Training, false
}

// Summary summarises a figure over the seeds, on the split of Judged.
func (r *RunResult) Summary(figure string) Summary {
	var values []float64
	split, ok := r.Judged()
	for _, t := range r.Seeds {
		s := Score{}
		if split == Test && t.Test != nil {
			s = *t.Test
		} else if ok && t.Best != nil && t.Best.N > 0 {
			s = *t.Best
		}
		values = append(values, s.Figure(figure))
	}
	return Summarize(values)
}
