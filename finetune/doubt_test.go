package finetune_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// said are the doubts of a training, by split and kind.
func said(doubts []finetune.Doubt) (all []string) {
	for _, d := range doubts {
		all = append(all, d.Split+" "+string(d.Kind))
	}
	return all
}

// A training that diverges and stays finite is told of, one that learns is not, however
// short it is; the loss of guessing is ln K.
func TestDoubts(t *testing.T) {
	d := &toy{rows: [3]int{12, 6, 6}}
	for name, c := range map[string]struct {
		config finetune.Config
		want   []string
	}{
		"learns":   {finetune.Config{Epochs: 10, LearningRate: .05}, nil},
		"one step": {finetune.Config{Epochs: 1, LearningRate: 1e-12, BatchSize: 12}, nil},
		"diverges": {finetune.Config{Epochs: 4, LearningRate: 1, Frozen: true, Schedule: finetune.Constant{}, Warmup: -1}, []string{"val above_chance", "train never_lower"}},
		"adapts":   {finetune.Config{Epochs: 4, LearningRate: 100, Schedule: finetune.Constant{}, Warmup: -1}, []string{"train above_chance", "val above_chance", "test above_chance", "train never_lower"}},
	} {
		if c.config.BatchSize == 0 {
			c.config.BatchSize = 4
		}
		r, err := finetune.Train(context.Background(), toyNet(t, 0), &tape.Executor[float32]{}, classify.Task{}, d, c.config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := said(r.Doubts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q: %+v", name, got, c.want, r.Last)
		}
		for _, one := range r.Doubts {
			if chance := math.Log(classes); one.Kind == finetune.AboveChance && (one.Than != chance || one.Loss < 3*chance) {
				t.Errorf("%s: %+v", name, one)
			}
		}
	}
}

// Of a task that has no loss of guessing only a loss that was never below the first is
// told, after a continuation too.
func TestDoubtsRegression(t *testing.T) {
	net, err := graph.Read(toyNet(t, 0).Model(), "s2")
	if err != nil {
		t.Fatal(err)
	}
	for rate, want := range map[float64][]string{.03: nil, 1: {"train never_lower"}} {
		kept := store(t)
		for _, epochs := range []int{12, 12} { // the second time from the checkpoint of the end
			c := finetune.Config{Epochs: epochs, BatchSize: 2, LearningRate: rate, Frozen: true, Store: kept, Schedule: finetune.Constant{}}
			r := trainTask(t, net, &tape.Executor[float32]{}, regression{"s2"}, bright{[3]int{8, 6, 0}}, c)
			if got := said(r.Doubts); !slices.Equal(got, want) {
				t.Errorf("learning rate %v: %q, want %q: %+v", rate, got, want, r.Last)
			}
		}
	}
}

// The doubts of a run are in its outcome and in metrics.jsonl, in words.
func TestRunDoubts(t *testing.T) {
	r := finetune.Run{
		Folder: t.TempDir(), Task: classify.Task{}, Data: &toy{rows: [3]int{12, 6, 0}},
		Config:   finetune.Config{Epochs: 4, BatchSize: 4, LearningRate: 1, Frozen: true, Schedule: finetune.Constant{}, Warmup: -1},
		Network:  func(uint64) (*graph.Network, error) { return toyNet(t, 0), nil },
		Executor: func() (finetune.Executor, error) { return &tape.Executor[float32]{}, nil },
	}
	for range 2 { // the second time from the outcome
		done, err := r.Train(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got := said(done.Seeds[0].Doubts); len(got) != 2 {
			t.Errorf("%q", got)
		}
	}
	text, err := os.ReadFile(filepath.Join(r.Folder, finetune.MetricsFile))
	if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); err != nil || !strings.Contains(lines[len(lines)-1], `"warnings":["the val loss at the end is `) {
		t.Errorf("%s, %v", text, err)
	}
}

// Statistics that are not finite are an error, not a model.
func TestAdaptNotFinite(t *testing.T) {
	x := &spy{after: nil}
	net := toyNet(t, 0)
	x.after = func(p *graph.Program, _ map[string][]float32) {
		for _, u := range p.Updates {
			x.Write(u.Variable, slices.Repeat([]float32{float32(math.Inf(1))}, p.Nodes[u.Node].Shape.Size()))
		}
	}
	_, err := finetune.AdaptModel(context.Background(), net, x, &toy{rows: [3]int{8, 0, 0}}, finetune.AdaptConfig{BatchSize: 4})
	if err == nil || !strings.Contains(err.Error(), `statistics "s1.mean"`) || !strings.Contains(err.Error(), finetune.ErrNotFinite.Error()) {
		t.Errorf("error %v", err)
	}
}
