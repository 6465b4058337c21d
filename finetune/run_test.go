package finetune_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// A run of a task that adds parameters keeps them in its folder, and tells the
// learning rate that was taken where none is given.
func TestRunAdded(t *testing.T) {
	r := finetune.Run{
		Folder: t.TempDir(), Task: regression{"s2"}, Data: bright{[3]int{8, 6, 0}}, Seeds: 2, Config: finetune.Config{Epochs: 1, BatchSize: 4},
		Network:  func(uint64) (*graph.Network, error) { return graph.Read(toyNet(t, 0).Model(), "s2") },
		Executor: func() (finetune.Executor, error) { return &tape.Executor[float32]{}, nil },
	}
	done, err := r.Train(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if lr := done.Seeds[0].LearningRate; lr != .01*4/64 {
		t.Errorf("learning rate %v", lr)
	}
	for _, dir := range []string{"", "seed-0", "seed-1"} {
		f, err := os.Open(filepath.Join(r.Folder, dir, finetune.AddedFile))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := safetensors.Read(f, info.Size())
		if err != nil || len(list) != 2 || list[1].Name != "regress.w" || !slices.Equal(list[1].Shape, []int{1, 6, 1, 1}) {
			t.Errorf("%q: %+v, %v", dir, list, err)
		}
	}
	// The lines of the steps tell what the loss is the sum of.
	metrics, err := os.ReadFile(filepath.Join(r.Folder, "seed-1", finetune.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for line := range bytes.Lines(metrics) {
		var s struct {
			Event         string
			Loss          float64
			Quarter, Rest *float64
		}
		line = bytes.ReplaceAll(line, []byte(`"loss_`), []byte(`"`))
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if s.Event == "step" {
			steps++
			if s.Quarter == nil || s.Rest == nil || *s.Quarter != s.Loss/4 || *s.Rest != 3*s.Loss/4 || s.Loss == 0 {
				t.Errorf("the line of a step: %s", line)
			}
		}
	}
	if steps != 2 {
		t.Errorf("%d lines of steps", steps)
	}
	// A learning rate that is given twice is trained with once for each seed.
	r.Folder, r.LearningRates = t.TempDir(), []float64{.01, .01}
	if done, err = r.Train(context.Background()); err != nil || len(done.Seeds) != 2 {
		t.Errorf("%d trainings of 2 seeds, %v", len(done.Seeds), err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	r.Folder = t.TempDir()
	none, err := r.Train(ctx)
	if !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if split, ok := none.Judged(); ok {
		t.Errorf("judged on %v before there was anything", split)
	}
}

// A training that is interrupted in its first epoch leaves the model that it has come to,
// and each epoch calls Run.Epoch when the line of its evaluation is in the folder.
func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cause, lines := errors.New("enough"), []int{}
	r := finetune.Run{
		Folder: t.TempDir(), Task: classify.Task{}, Data: &toy{rows: [3]int{8, 6, 0}}, Config: finetune.Config{Epochs: 2, BatchSize: 4, LearningRate: .1},
		Network:  func(uint64) (*graph.Network, error) { return toyNet(t, 0), nil },
		Executor: func() (finetune.Executor, error) { return &tape.Executor[float32]{}, nil },
		Report: func(_ *finetune.Trial, e finetune.Event) error {
			if e.Kind == finetune.Stepped {
				cancel(cause)
			}
			return nil
		},
		Epoch: func(_ *finetune.Trial, dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, finetune.MetricsFile))
			lines = append(lines, bytes.Count(text, []byte(`"split":"val"`)))
			return err
		},
	}
	if _, err := r.Train(ctx); !errors.Is(err, cause) {
		t.Fatal(err)
	}
	last := filepath.Join(r.Folder, finetune.LastFile)
	m, err := onnx.Load(last)
	if err != nil {
		t.Fatal(err)
	}
	got, err1 := m.Floats("s1.w")
	began, err2 := toyNet(t, 0).Values("s1.w")
	if err := errors.Join(err1, err2); err != nil || slices.Equal(got, began) {
		t.Errorf("last.onnx has the weights that training began with, %v", err)
	}
	if _, err := r.Train(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Interrupted, after the first epoch, after the second if it took long enough, at the end.
	if text := fmt.Sprint(lines); text != "[0 1 2 2]" && text != "[0 1 2]" {
		t.Errorf("lines of epochs %v", lines)
	}
}
