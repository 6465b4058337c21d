package finetune_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// lent is images that lie in memory of the data's own, in the order of the rows.
type lent struct {
	images []float32
	bad    int
}

func (d lent) Rows(s finetune.Split) int {
	return map[finetune.Split]int{finetune.Training: 4, finetune.Validation: 6}[s]
}

func (d lent) Load(_ context.Context, s finetune.Split, _ int, b *finetune.Batch) error {
	first := slices.Min(b.Rows)
	b.Inputs[graph.Images] = d.images[first*pixels:][:b.N()*pixels]
	for i, row := range b.Rows {
		if b.Truth[i] = row % classes; s == finetune.Validation && row == d.bad {
			b.Miss(i)
		}
	}
	return nil
}

// Memory that data lend to a batch is not written to, where the batch is padded
// or rows of it are left out.
func TestLentMemory(t *testing.T) {
	d := lent{slices.Repeat([]float32{.5}, 6*pixels), 1}
	for row := range 6 {
		d.images[row*pixels] = float32(row)
	}
	was := slices.Clone(d.images)
	c := finetune.Config{Epochs: 2, BatchSize: 4, Frozen: true}
	trainTask(t, toyNet(t, 0), &tape.Executor[float32]{}, classify.Task{}, d, c)
	if !slices.Equal(d.images, was) {
		t.Error("the data's images have changed")
	}
}

// oneListed does not list the second program of its step.
type oneListed struct{ regression }

type oneListedStep struct{ finetune.Step }

func (s oneListedStep) Programs() []*graph.Program { return s.Step.Programs()[:1] }

func (o oneListed) Step(net *graph.Network, c graph.Config) (finetune.Step, error) {
	s, err := o.regression.Step(net, c)
	return oneListedStep{s}, err
}

// nameless ranks by a figure that it does not have.
type nameless struct{ regression }

func (nameless) Figure() string { return "near" }

// Tasks that break their contract are told, instead of training for nothing.
func TestTaskContract(t *testing.T) {
	net, err := graph.Read(toyNet(t, 0).Model(), "s2")
	if err != nil {
		t.Fatal(err)
	}
	for want, task := range map[string]finetune.Task{
		"a program that its Programs do not list": oneListed{regression{"s2"}},
		`the figure "near"`:                       nameless{regression{"s2"}},
	} {
		_, err := finetune.Train(context.Background(), net, &tape.Executor[float32]{}, task, bright{[3]int{8, 6, 0}}, finetune.Config{Epochs: 1, BatchSize: 4})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// empty's figure is not a number in its first two evaluations.
type empty struct {
	regression
	n *int
}

type emptyScorer struct {
	finetune.Scorer
	n *int
}

func (e empty) Scorer(net *graph.Network, c graph.Config) (finetune.Scorer, error) {
	s, err := e.regression.Scorer(net, c)
	return emptyScorer{s, e.n}, err
}

func (e emptyScorer) Score() finetune.Score {
	s := e.Scorer.Score()
	if *e.n++; *e.n < 3 {
		s.Figures[0].Value = math.NaN()
	}
	return s
}

// A figure that is not a number is worse than others, is saved, and comes back.
func TestNaNFigure(t *testing.T) {
	net, err := graph.Read(toyNet(t, 0).Model(), "s2")
	if err != nil {
		t.Fatal(err)
	}
	r := trainTask(t, net, &tape.Executor[float32]{}, empty{regression{"s2"}, new(int)}, bright{[3]int{8, 6, 0}}, finetune.Config{Epochs: 3, BatchSize: 4, Store: store(t)})
	if r.Best.Epoch != 3 {
		t.Errorf("the best epoch is %d, expected the only one with a figure", r.Best.Epoch)
	}
	text, err := json.Marshal(finetune.Score{Figures: []finetune.Figure{{Name: "f", Value: math.NaN()}}})
	var back finetune.Score
	if err := json.Unmarshal(text, &back); err != nil || len(back.Figures) != 1 || !math.IsNaN(back.Figure("f")) {
		t.Errorf("%s: %v, %+v", text, err, back)
	}
	if err != nil || string(text) != `{"epoch":0,"n":0,"loss":0,"f":null,"train_loss":0}` {
		t.Errorf("%s, %v", text, err)
	}
}
