package train

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// planned is a Task that wants what the plan says in every step, and scores after the
// last one alone.
type planned struct {
	*Task
	begun *begun
	done  int
}

func (p *planned) Step(net *graph.Network, c graph.Config) (finetune.Step, error) {
	s, err := p.Task.Step(net, c)
	return plannedStep{s, p}, err
}

type plannedStep struct {
	finetune.Step
	of *planned
}

func (s plannedStep) Run(p *finetune.Pass) (float64, error) {
	b := s.of.begun
	var got []peerRow
	for i, truth := range p.Truth {
		got = append(got, peerRow{b.data.Image(finetune.Training, p.Rows[i]).Path, truth.(*Target).Flipped})
	}
	if want := b.plan.Batches[p.Step].Images; !b.Random && !slices.Equal(got, want) {
		return 0, fmt.Errorf("images %v in step %d, the plan has %v", got, p.Step, want)
	}
	s.of.done = p.Step + 1
	return s.Step.Run(p)
}

func (p *planned) Scorer(net *graph.Network, c graph.Config) (finetune.Scorer, error) {
	s, err := p.Task.Scorer(net, c)
	return lateScorer{s, p}, err
}

type lateScorer struct {
	finetune.Scorer
	of *planned
}

func (s lateScorer) Add(p *finetune.Pass) error {
	if s.of.done < s.of.begun.Steps {
		return nil
	}
	return s.Scorer.Add(p)
}

// train trains the detector on an executor, and returns the losses of each step and what
// was found in the validation images.
func (b *begun) train(ctx context.Context, t *testing.T, x finetune.Executor) (losses []map[string]float64, found []coco.Detection, err error) {
	net, err := Read(b.core)
	if err != nil {
		return nil, nil, err
	}
	c := ConventionsOf(net.Spec().Detect)
	c.RoISamples, c.RoIPositives, c.PreNMS, c.PostNMS = b.Regions, b.Regions/4, peerProposals, peerProposals
	task := &planned{Task: &Task{Conventions: c, Canvases: b.data.Canvases(), Truth: func(s finetune.Split) *coco.Dataset {
		if s == finetune.Validation {
			return b.truth
		}
		return nil
	}}, begun: b}
	task.Scored = func(_ finetune.Split, all []coco.Detection) { found = all }
	config := b.config(b.seed)
	config.Report = func(e finetune.Event) error {
		if e.Kind != finetune.Stepped {
			return nil
		}
		of := map[string]float64{}
		for _, f := range e.Losses {
			of[f.Name] = f.Value
		}
		if losses = append(losses, of); len(losses) <= 3 || len(losses)%10 == 0 {
			t.Logf("seed %d, step %d: %v", b.seed, len(losses), of)
		}
		return nil
	}
	_, err = finetune.Train(ctx, net, x, task, b.data, config)
	return losses, found, err
}

// run trains on onnxruntime with one thread.
func (b *begun) run(t *testing.T) ([]map[string]float64, []coco.Detection) {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		t.Fatal(err)
	}
	x, err := lower.Open(runtime.Options{Library: lib, Device: "cpu", Threads: 1}, lower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	losses, found, err := b.train(t.Context(), t, x)
	if err != nil {
		t.Fatal(err)
	}
	return losses, found
}
