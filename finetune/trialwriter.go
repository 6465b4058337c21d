package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/safetensors"
	"github.com/robust-transfer/rtx/onnx/verify"
)

// trialWriter writes the files of one training to its folder.
type trialWriter struct {
	run     *Run
	trial   *Trial
	dir     string
	metrics *os.File
	epochs  pace // of what is written after epochs
}

// pace keeps repeated work below a share of the time.
type pace struct {
	done time.Time     // when the work was last done
	took time.Duration // that time
}

// paceShare is the inverse of the share of the time that the work may take.
const paceShare = 10

// due reports whether the work may be done again now.
func (p *pace) due() bool { return time.Since(p.done) >= (paceShare-1)*p.took }

// do does the work and remembers how long it took.
func (p *pace) do(work func() error) error {
	began := time.Now()
	err := work()
	p.done = time.Now()
	p.took = p.done.Sub(began)
	return err
}

// path is the path of a file in the folder.
func (w *trialWriter) path(name string) string { return filepath.Join(w.dir, name) }

// open creates the folder. If the training is already done, it reads its outcome.
func (w *trialWriter) open() (done bool, err error) {
	for _, dir := range []string{"state", "weights"} {
		if err := os.MkdirAll(w.path(dir), 0o777); err != nil {
			return false, fmt.Errorf("output: %w", err)
		}
	}
	data, err := os.ReadFile(w.path(outcomeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &w.trial.Outcome)
	}
	if err != nil {
		return false, fmt.Errorf("output: %q: %w", w.path(outcomeFile), err)
	}
	return true, nil
}

// event passes an event on to Run.Report, and then writes it to the folder.
func (w *trialWriter) event(ctx context.Context, e Event) error {
	if w.run.Report != nil {
		if err := w.run.Report(w.trial, e); err != nil {
			return err
		}
	}
	switch e.Kind {
	case Started:
		return w.started(e)
	case Stepped:
		return w.line(`{"event":"step","step":%d,"epoch":%d,"loss":%s%s,"lr":%s}`, e.Step, e.Epoch, number(e.Loss), fields(e.Losses), number(e.LearningRate))
	case Evaluated:
		return w.evaluated(ctx, e)
	case Ended:
		if e.Stop != Canceled {
			return w.ended(e)
		}
	}
	return nil
}

// started truncates the metrics to the lines up to the checkpoint.
func (w *trialWriter) started(e Event) error {
	old, err := os.ReadFile(w.path(MetricsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("output: %w", err)
	}
	keep := 0
	for range e.Lines {
		n := bytes.IndexByte(old[keep:], '\n')
		if n < 0 {
			break
		}
		keep += n + 1
	}
	if w.metrics, err = os.OpenFile(w.path(MetricsFile), os.O_CREATE|os.O_WRONLY, 0o666); err == nil {
		if err = w.metrics.Truncate(int64(keep)); err == nil {
			_, err = w.metrics.Seek(0, io.SeekEnd)
		}
	}
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if e.Lines > 0 {
		return nil
	}
	p := e.Plan
	return w.line(`{"event":"start","steps":%d,"epochs":%d,"steps_per_epoch":%d,"rows":%d,"validation":%d,"parameters":%d}`,
		p.Steps, p.Epochs, p.Epoch, p.Rows, p.Validation, p.Parameters)
}

func (w *trialWriter) evaluated(ctx context.Context, e Event) error {
	if e.Best && e.Model != nil && e.Split == Validation {
		m, err := e.Model()
		if err == nil {
			err = w.save(ctx, m, BestFile)
		}
		if err != nil {
			return err
		}
	}
	if err := w.evaluation(e); err != nil || e.Split != Validation || !w.epochs.due() {
		return err
	}
	return w.epochs.do(func() error { return w.epoch(ctx, e.Model) })
}

// ended writes the line of the end, with the doubts in words, if there are any.
func (w *trialWriter) ended(e Event) error {
	warnings := ""
	if len(e.Doubts) > 0 {
		var words []string
		for _, d := range e.Doubts {
			words = append(words, d.String())
		}
		text, err := json.Marshal(words)
		if err != nil {
			return err
		}
		warnings = `,"warnings":` + string(text)
	}
	return w.line(`{"event":"end","stop":%q,"step":%d%s}`, e.Stop, e.Step, warnings)
}

// evaluation writes the line of an evaluation.
func (w *trialWriter) evaluation(e Event) error {
	s := e.Score
	line := fmt.Sprintf(`{"event":"eval","epoch":%d,"split":%q,"n":%d,"loss":%s%s`, s.Epoch, e.Split, s.N, number(s.Loss), fields(s.Figures))
	line += `,"train_loss":` + number(s.TrainLoss)
	if e.Split == Validation {
		line += fmt.Sprintf(`,"best":%t`, e.Best)
	}
	return w.line("%s", line+"}")
}

// epoch writes the model of an epoch, and calls Run.Epoch.
func (w *trialWriter) epoch(ctx context.Context, model func() (*onnx.Model, error)) error {
	m, err := model()
	if err == nil {
		err = w.save(ctx, m, LastFile)
	}
	if err != nil || w.run.Epoch == nil {
		return err
	}
	return w.run.Epoch(w.trial, w.dir)
}

// interrupted writes the files of an epoch for a training that ended early.
func (w *trialWriter) interrupted(ctx context.Context, r *Result) error {
	if r.Steps == 0 {
		return nil
	}
	return w.epoch(context.WithoutCancel(ctx), func() (*onnx.Model, error) { return r.LastModel, nil })
}

// fields writes figures as fields of a JSON object, with a comma in front of each.
func fields(figures []Figure) (text string) {
	for _, f := range figures {
		text += fmt.Sprintf(",%q:%s", f.Name, number(f.Value))
	}
	return text
}

// number formats a number for JSON; null if it is not finite.
func number(v float64) string {
	if !finite(v) {
		return "null"
	}
	text, _ := json.Marshal(v)
	return string(text)
}

func (w *trialWriter) line(format string, a ...any) error {
	if _, err := fmt.Fprintf(w.metrics, format+"\n", a...); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

func (w *trialWriter) save(ctx context.Context, m *onnx.Model, name string) error {
	m, err := w.exported(m)
	if err != nil {
		return err
	}
	return output.WriteFile(ctx, w.path(name), m.Write)
}

// exported is what is written of a model.
func (w *trialWriter) exported(m *onnx.Model) (*onnx.Model, error) {
	if w.run.Export == nil {
		return m, nil
	}
	return w.run.Export(m)
}

// saveVerified writes a model and has it read independently. That takes less than a
// tenth of the time and memory of training, so it is always done.
func (w *trialWriter) saveVerified(ctx context.Context, m *onnx.Model, name string) (*verify.Report, error) {
	m, err := w.exported(m)
	if err != nil {
		return nil, err
	}
	if err := output.WriteFile(ctx, w.path(name), m.Write); err != nil {
		return nil, err
	}
	return verify.NewReport(ctx, w.path(name), m)
}

func (w *trialWriter) close() error {
	if w.metrics == nil {
		return nil
	}
	return w.metrics.Close()
}

// finish writes the files of a training that has ended, the outcome last.
func (w *trialWriter) finish(ctx context.Context, r *Result) error {
	v := &w.trial.Verify
	var err error
	if r.BestModel != nil {
		if v.Best, err = w.saveVerified(ctx, r.BestModel, BestFile); err != nil {
			return err
		}
	}
	if v.Last, err = w.saveVerified(ctx, r.LastModel, LastFile); err != nil {
		return err
	}
	if len(r.Added) > 0 {
		if err := output.WriteFile(ctx, w.path(AddedFile), func(to io.Writer) error { return writeAdded(to, r.shapes, r.Added) }); err != nil {
			return err
		}
	}
	if w.run.Epoch != nil {
		if err := w.run.Epoch(w.trial, w.dir); err != nil {
			return err
		}
	}
	if w.run.Finish != nil {
		if err := w.run.Finish(w.trial, w.dir); err != nil {
			return err
		}
	}
	text, err := json.Marshal(w.trial.Outcome)
	if err != nil {
		return err
	}
	err = output.WriteFile(context.Background(), w.path(outcomeFile), output.Bytes(text))
	if err != nil {
		return err
	}
	return output.Remove(w.path(stateFile))
}

// writeAdded writes parameters as .safetensors, by name.
func writeAdded(to io.Writer, shapes map[string]graph.Shape, values map[string][]float32) error {
	var list []safetensors.Tensor
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, safetensors.Tensor{Name: name, DType: "F32", Shape: append([]int{}, shapes[name]...)})
	}
	return writeTensors(to, list, nil, func(i int, dst []float32) error { copy(dst, values[list[i].Name]); return nil })
}
