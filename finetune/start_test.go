package finetune_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// Weights that no epoch improves stay the best, as epoch 0; those that one improves
// do not.
func TestScoreStart(t *testing.T) {
	for _, ema := range []float64{0, .5} {
		for _, rate := range []float64{1e-30, .1} {
			net, evaluations, best := toyNet(t, 0), []int{}, []int{}
			c := finetune.Config{Epochs: 6, BatchSize: 4, Frozen: true, LearningRate: rate, EMA: ema, ScoreStart: true, Report: func(e finetune.Event) error {
				if e.Kind == finetune.Evaluated && e.Split == finetune.Validation {
					if evaluations = append(evaluations, e.Score.Epoch); e.Best {
						best = append(best, e.Score.Epoch)
					}
					if math.IsNaN(e.Score.TrainLoss) != (e.Score.Epoch == 0) {
						t.Errorf("epoch %d: training loss %v", e.Score.Epoch, e.Score.TrainLoss)
					}
				}
				return nil
			}}
			r := train(t, net, &spy{}, &toy{rows: [3]int{12, 9, 6}}, c)
			if !slices.Equal(evaluations, []int{0, 1, 2, 3, 4, 5, 6}) || best[0] != 0 {
				t.Errorf("rate %v: evaluations %v, best %v", rate, evaluations, best)
			}
			start, err := net.Values("head.w")
			if err != nil {
				t.Fatal(err)
			}
			kept, err := r.BestModel.Floats("head.w")
			if err != nil {
				t.Fatal(err)
			}
			if (r.Best.Epoch == 0) != (rate == 1e-30) || slices.Equal(kept, start) != (r.Best.Epoch == 0) {
				t.Errorf("rate %v, EMA %v: the best epoch is %d, its weights those of the start: %v", rate, ema, r.Best.Epoch, slices.Equal(kept, start))
			}
			if r.Test == nil || r.Test.Epoch != r.Best.Epoch || r.Last.Epoch != 6 {
				t.Errorf("test %+v, best %+v, last %+v", r.Test, r.Best, r.Last)
			}
		}
	}
}

// scripted is a task whose validation figures are given: the start's, and those of
// the epochs.
type scripted struct {
	classify.Task
	n       int
	figures []float64
}

type scriptedScorer struct {
	finetune.Scorer
	*scripted
}

func (s *scripted) Scorer(net *graph.Network, c graph.Config) (finetune.Scorer, error) {
	scorer, err := s.Task.Scorer(net, c)
	return scriptedScorer{scorer, s}, err
}

func (s scriptedScorer) Score() finetune.Score {
	score := finetune.Score{N: s.n, Loss: 1, Figures: []finetune.Figure{{Name: classify.Top1, Value: s.figures[0]}}}
	s.figures = s.figures[1:]
	return score
}

// An epoch takes the place of the start if its figure is more than a standard error
// higher, and later epochs that of equal ones.
func TestStandardError(t *testing.T) {
	for _, c := range []struct {
		n       int
		figures []float64 // start, epochs
		best    int
		flagged []int // epochs that are reported as the best so far
	}{
		{20, []float64{.8, .85, .85, .7}, 0, []int{0}},           // of 22 images, 17 right: 0.094
		{20, []float64{.8, .85, .9, .7}, 2, []int{0, 2}},         // 0.8 + 0.094 < 0.9
		{2000, []float64{.8, .805, .808, .7}, 0, []int{0}},       // 0.009
		{2000, []float64{.8, .805, .82, .82}, 3, []int{0, 2, 3}}, // the later one
		{5, []float64{.2, .4, .4, .4}, 0, []int{0}},              // 2 of 7: 0.202
		{5, []float64{0, 0, .2, .2}, 3, []int{0, 2, 3}},          // 1 of 7: 0.156
		{10, []float64{1, 1, 1, 1}, 0, []int{0}},                 // nothing is better
		{20, []float64{.2, .6, .8, .8, .8, .8, .8}, 6, []int{0, 1, 2, 3, 4, 5, 6}},
	} {
		var flagged []int
		task := &scripted{n: c.n, figures: slices.Clone(c.figures)}
		r := trainTask(t, toyNet(t, 0), &spy{}, task, &toy{rows: [3]int{8, 6, 0}}, finetune.Config{
			Epochs: len(c.figures) - 1, BatchSize: 4, Frozen: true, LearningRate: .1, ScoreStart: true, Patience: 3,
			Report: func(e finetune.Event) error {
				if e.Kind == finetune.Evaluated && e.Best {
					flagged = append(flagged, e.Score.Epoch)
				}
				return nil
			},
		})
		if r.Best.Epoch != c.best || !slices.Equal(flagged, c.flagged) || r.Stop != finetune.AllSteps {
			t.Errorf("%v of %d: the best is epoch %d, on the way %v; %q", c.figures, c.n, r.Best.Epoch, flagged, r.Stop)
		}
	}
}

// A loss that does not fall says nothing of weights that were good before training.
func TestScoreStartDoubts(t *testing.T) {
	for _, scored := range []bool{false, true} {
		c := finetune.Config{Epochs: 12, BatchSize: 4, Frozen: true, LearningRate: 1e-30, Patience: -1, ScoreStart: scored}
		r := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{4, 6, 0}}, c)
		if doubted := len(r.Doubts) > 0; doubted == scored {
			t.Errorf("scored %v: doubts %v", scored, r.Doubts)
		}
	}
}

// Without validation rows, nothing tells the start from the epochs.
func TestScoreStartWithoutValidation(t *testing.T) {
	c := finetune.Config{Epochs: 2, BatchSize: 4, ScoreStart: true, Report: func(e finetune.Event) error {
		if e.Kind == finetune.Evaluated && e.Score.Epoch == 0 {
			t.Error("the start was scored on no rows")
		}
		return nil
	}}
	if r := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{8, 0, 0}}, c); r.Best.Epoch != 2 {
		t.Errorf("best %+v", r.Best)
	}
}

// By default, few rows are gone over more often, and patience grows with the epochs.
func TestLeastSteps(t *testing.T) {
	for _, c := range []struct {
		rows, batch, given, patience int
		epochs, steps, last          int // last is the last epoch of a training that never improves
	}{
		{rows: 8, batch: 4, epochs: 150, steps: 300, last: 76},
		{rows: 8, batch: 4, patience: 3, epochs: 150, steps: 300, last: 4},
		{rows: 8, batch: 4, given: 20, epochs: 20, steps: 40, last: 11},
		{rows: 10, batch: 4, epochs: 100, steps: 300, last: 51},
		{rows: 64, batch: 4, epochs: 20, steps: 320, last: 11},
	} {
		var plan finetune.Plan
		r := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{c.rows, 6, 0}}, finetune.Config{
			Epochs: c.given, Patience: c.patience, BatchSize: c.batch, LearningRate: 1e-30, Frozen: true, Rules: finetune.Rules{Mode: finetune.Mode{Fixed: true}}, Unaugmented: true,
			Report: func(e finetune.Event) error { plan = e.Plan; return nil },
		})
		if plan.Epochs != c.epochs || plan.Steps != c.steps || r.Last.Epoch != c.last || r.Stop != finetune.OutOfPatience {
			t.Errorf("%+v: %d epochs and %d steps are planned; %q after epoch %d", c, plan.Epochs, plan.Steps, r.Stop, r.Last.Epoch)
		}
	}
}

// Features are those of inference, of all rows that can be read: what the head is
// given when the network is scored.
func TestComputeFeatures(t *testing.T) {
	for _, dropout := range []float64{-.5, 0, .5} {
		net, epochs := toyNet(t, dropout), map[int]bool{}
		d := &loadedEpochs{toy{rows: [3]int{10, 7, 3}, augmented: true, bad: []int{4}}, epochs}
		done := 0
		f, err := finetune.ComputeFeatures(context.Background(), net, &spy{}, d, finetune.FeatureConfig{BatchSize: 4, Report: func(n int) { done = n }})
		if err != nil {
			t.Fatal(err)
		}
		if f.Width != 6 || done != 20 || len(epochs) != 1 || !epochs[-1] {
			t.Errorf("width %d, %d rows done, epochs %v", f.Width, done, epochs)
		}
		var x spy
		if err := finetune.Load(net, &x); err != nil {
			t.Fatal(err)
		}
		p, err := net.Program(graph.Config{Batch: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := net.Values("head.w")
		b, _ := net.Values("head.b")
		for s, split := range f.Splits {
			if len(split.Values) != 6*d.rows[s] {
				t.Fatalf("split %d: %d values", s, len(split.Values))
			}
			for row := range d.rows[s] {
				if bad := s == 0 && row == 4; split.Read[row] == bad || !bad && split.Truth[row] != row%classes {
					t.Errorf("split %d, row %d: read %v, truth %v", s, row, split.Read[row], split.Truth[row])
				} else if bad {
					continue
				}
				image, labels, logits := make([]float32, pixels), make([]int, 1), make([]float32, classes)
				if err := d.fill(context.Background(), finetune.Split(s), []int{row}, -1, image, labels); err != nil {
					t.Fatal(err)
				}
				if err := x.Run(context.Background(), p, map[string][]float32{graph.Images: image}, map[string][]float32{graph.Logits: logits}); err != nil {
					t.Fatal(err)
				}
				for k, want := range logits {
					got := b[k]
					for j, v := range split.Values[6*row:][:6] {
						got += w[6*k+j] * v
					}
					if math.Abs(float64(got-want)) > 1e-5 {
						t.Errorf("dropout %v, split %d, row %d: the head makes %v of the features, the network has %v", dropout, s, row, got, want)
					}
				}
			}
		}
	}
}

// loadedEpochs notes the epochs that are loaded.
type loadedEpochs struct {
	toy
	epochs map[int]bool
}

func (w *loadedEpochs) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	w.epochs[epoch] = true
	return w.toy.Load(ctx, s, epoch, b)
}

// A network whose head is no linear layer has no features to compute.
func TestNoFeatures(t *testing.T) {
	m := toyNet(t, 0).Model()
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	g := m.Proto.Graph
	spec.Head, g.Node[len(g.Node)-1].Output[0] = nil, "before"
	g.Node = append(g.Node, onnx.NewNode("Relu", "logits", []string{"before"}))
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := finetune.ComputeFeatures(context.Background(), net, &spy{}, &toy{rows: [3]int{4, 0, 0}}, finetune.FeatureConfig{}); !errors.Is(err, finetune.ErrFeatures) {
		t.Errorf("error %v", err)
	}
	if _, err := classify.FitProbe(context.Background(), net, &spy{}, &toy{rows: [3]int{4, 0, 0}}, []string{"a", "b", "c"}, classify.ProbeConfig{}); !errors.Is(err, finetune.ErrFeatures) {
		t.Errorf("probe: error %v", err)
	}
}
