package finetune_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

// regression is a task that package finetune does not know: a new 1x1 convolution
// on a feature map predicts a number for each pixel. Its step is two programs with
// Go code between them. The first predicts. The Go code then moves each target to
// within 1 of the prediction, so that the squared error has the gradient of the
// Huber loss. The second, which reads values that the first has kept, computes loss,
// gradients and updates.
type regression struct {
	value string // the feature map, [N,C,H,W]
}

// Names of the programs' inputs and outputs.
const (
	prediction = "prediction" // [N,1,H,W]
	aims       = "aims"       // [N,1,H,W]
	weights    = "weights"    // [N]: 1/n for a real row, 0 for one that pads the batch
)

func (regression) Figure() string { return "close" }

func (r regression) predict(b *graph.Builder) graph.Value {
	x := b.Value(r.value)
	s := graph.Shape{1, x.Shape()[1], 1, 1}
	w := b.Param(graph.Param{Name: "regress.w", Shape: s, Kind: graph.Weight, Head: true}, slices.Repeat([]float32{.1}, s.Size()))
	bias := b.Param(graph.Param{Name: "regress.b", Shape: graph.Shape{1}, Kind: graph.Bias, Head: true}, []float32{0})
	return b.Apply(graph.Conv{Strides: [2]int{1, 1}, Dilations: [2]int{1, 1}, Group: 1}, x, w, bias)
}

func (r regression) Step(net *graph.Network, c graph.Config) (finetune.Step, error) {
	whole, err := net.Program(c, func(b *graph.Builder) (graph.Value, []graph.Named) {
		y := r.predict(b)
		loss := b.Apply(squaredError{}, y, b.Input(aims, y.Shape()), b.Input(weights, y.Shape()[:1]))
		return loss, []graph.Named{{Name: prediction, Value: y}}
	})
	if err != nil {
		return nil, err
	}
	first, second, err := whole.Split(prediction)
	return &regressionStep{first, second, c.Batch}, err
}

type regressionStep struct {
	first, second *graph.Program
	batch         int
}

func (s *regressionStep) Programs() []*graph.Program { return []*graph.Program{s.first, s.second} }

func (s *regressionStep) Run(p *finetune.Pass) (float64, error) {
	y := make([]float32, s.batch*side*side)
	if err := p.Run(s.first, nil, map[string][]float32{prediction: y}); err != nil {
		return 0, err
	}
	in := map[string][]float32{aims: make([]float32, len(y)), weights: make([]float32, s.batch)}
	for i, truth := range p.Truth {
		in[weights][i] = 1 / float32(p.N()*side*side)
		for k, want := range truth.([]float32) {
			at := i*side*side + k
			in[aims][at] = min(max(want, y[at]-1), y[at]+1)
		}
	}
	loss := []float32{0}
	err := p.Run(s.second, in, map[string][]float32{graph.Loss: loss})
	sum := float64(loss[0])
	p.Losses = []finetune.Figure{{Name: "loss_quarter", Value: sum / 4}, {Name: "loss_rest", Value: 3 * sum / 4}} // as of a task of two losses
	return sum, err
}

func (r regression) Scorer(net *graph.Network, c graph.Config) (finetune.Scorer, error) {
	p, err := net.Program(c, func(b *graph.Builder) (graph.Value, []graph.Named) {
		return graph.Value{}, []graph.Named{{Name: prediction, Value: r.predict(b)}}
	})
	return &regressionScorer{program: p, batch: c.Batch}, err
}

type regressionScorer struct {
	program  *graph.Program
	batch, n int
	loss     float64
	close    int // pixels within 0.5
}

func (s *regressionScorer) Programs() []*graph.Program { return []*graph.Program{s.program} }
func (s *regressionScorer) Reset()                     { s.n, s.loss, s.close = 0, 0, 0 }

func (s *regressionScorer) Add(p *finetune.Pass) error {
	y := make([]float32, s.batch*side*side)
	if err := p.Run(s.program, nil, map[string][]float32{prediction: y}); err != nil {
		return err
	}
	for i, truth := range p.Truth {
		for k, want := range truth.([]float32) {
			d := float64(y[i*side*side+k] - want)
			s.loss += d * d / (side * side)
			if math.Abs(d) < .5 {
				s.close++
			}
		}
	}
	s.n += p.N()
	return nil
}

func (s *regressionScorer) Score() finetune.Score {
	n := float64(max(s.n, 1))
	return finetune.Score{N: s.n, Loss: s.loss / n, Figures: []finetune.Figure{{Name: "close", Value: float64(s.close) / n / (side * side)}}}
}

// squaredError is the sum of w (y - t)^2 over rows of weight w; its inputs are y
// and t [N,...] and w [N].
type squaredError struct{}

func (squaredError) Infer(in []graph.Shape) (graph.Shape, error) {
	if len(in) != 3 || !in[0].Equal(in[1]) || len(in[2]) != 1 || in[2][0] != in[0][0] {
		return nil, fmt.Errorf("inputs of shapes %v", in)
	}
	return graph.Shape{}, nil
}

func (squaredError) Run32(c graph.Call[float32]) { sumSquares(c) }
func (squaredError) Run64(c graph.Call[float64]) { sumSquares(c) }

func sumSquares[T graph.Float](c graph.Call[T]) {
	sum, row := 0.0, len(c.In[0])/len(c.In[2])
	for i, y := range c.In[0] {
		d := float64(y - c.In[1][i])
		sum += float64(c.In[2][i/row]) * d * d
	}
	c.Dst[0] = T(sum)
}

func (squaredError) Emit(e *graph.Emitter, s graph.Operands) string {
	d := e.Sub(s.In[0], s.In[1])
	return e.Sum(e.Mul(e.Mul(d, d), e.Reshape(s.In[2], s.Shapes[2][0], 1, 1, 1)), 0, 1, 2, 3)
}

func (squaredError) Wrt(int) []bool { return []bool{true, false, false} }

func (squaredError) Diff(b *graph.Builder, in []graph.Value, _, dy graph.Value) []graph.Value {
	return []graph.Value{b.Apply(squaredErrorGradient{}, in[0], in[1], in[2], dy), {}, {}}
}

// squaredErrorGradient is 2 w (y - t) dy.
type squaredErrorGradient struct{}

func (squaredErrorGradient) Infer(in []graph.Shape) (graph.Shape, error) { return in[0], nil }
func (squaredErrorGradient) Run32(c graph.Call[float32])                 { differences(c) }
func (squaredErrorGradient) Run64(c graph.Call[float64])                 { differences(c) }

func differences[T graph.Float](c graph.Call[T]) {
	row := len(c.In[0]) / len(c.In[2])
	for i, y := range c.In[0] {
		c.Dst[i] = 2 * c.In[2][i/row] * (y - c.In[1][i]) * c.In[3][0]
	}
}

func (squaredErrorGradient) Emit(e *graph.Emitter, s graph.Operands) string {
	w := e.Mul(e.Mul(e.Reshape(s.In[2], s.Shapes[2][0], 1, 1, 1), s.In[3]), e.Number(2))
	return e.Mul(e.Sub(s.In[0], s.In[1]), w)
}

// bright is data of images whose truth is 5 times their red channel, minus 1.
type bright struct{ rows [3]int }

func (d bright) Rows(s finetune.Split) int { return d.rows[s] }

func (d bright) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	images := b.Input(graph.Images, pixels)
	if err := (&toy{}).fill(ctx, s, b.Rows, epoch, images, make([]int, b.N())); err != nil {
		return err
	}
	for i := range b.Rows {
		truth := make([]float32, side*side)
		for k := range truth {
			truth[k] = 5*images[i*pixels+k] - 1
		}
		b.Truth[i] = truth
	}
	return nil
}

// variance is the variance of the truth of the validation rows, the loss of the best
// constant prediction.
func variance(t *testing.T, d bright) float64 {
	t.Helper()
	b := finetune.NewBatch(0, 1, 2, 3, 4, 5)
	if err := d.Load(context.Background(), finetune.Validation, 0, b); err != nil {
		t.Fatal(err)
	}
	n, sum, squares := 0.0, 0.0, 0.0
	for _, truth := range b.Truth {
		for _, v := range truth.([]float32) {
			n, sum, squares = n+1, sum+float64(v), squares+float64(v)*float64(v)
		}
	}
	return squares/n - sum/n*sum/n
}

// A task that package finetune does not know is trained on both executors, in halves
// and with short batches, and continues where it was interrupted.
func TestOwnTask(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		m, err := toyNet(t, 0).Model().Cut("s2") // a network without logits
		if err != nil {
			t.Fatal(err)
		}
		net, err := graph.Read(m, "s2")
		if err != nil {
			t.Fatal(err)
		}
		c := finetune.Config{Epochs: 60, BatchSize: 4, LearningRate: .05, Frozen: frozen, Patience: -1, Now: still, EMA: .5}
		d := bright{[3]int{14, 6, 6}}
		var added [2][]float32
		for i, open := range []func() finetune.Executor{
			func() finetune.Executor { return &tape.Executor[float32]{} }, func() finetune.Executor { return machine(t) },
		} {
			whole, parts := store(t), store(t)
			c.Store, c.Report = whole, nil
			r := trainTask(t, net, open(), regression{"s2"}, d, c)
			if r.Last.Loss > variance(t, d)/4 || r.Best.Figure("close") < .7 || r.Test == nil || r.Test.N != 6 || math.IsNaN(r.Test.Figure("close")) {
				t.Errorf("executor %d, frozen %v: last %+v, best %+v, test %+v", i, frozen, r.Last, r.Best, r.Test)
			}
			added[i] = r.Added["regress.w"]
			for _, name := range []string{"s1.w", "s2.scale"} { // the whole network is trained
				was, _ := net.Values(name)
				if now, err := r.BestModel.Floats(name); err != nil || slices.Equal(now, was) {
					t.Errorf("%s is not trained: %v", name, err)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			c.Store = parts
			c.Report = func(e finetune.Event) error {
				if e.Kind == finetune.Stepped && e.Step == 70 {
					cancel()
				}
				return nil
			}
			if _, err := finetune.Train(ctx, net, open(), regression{"s2"}, d, c); err != nil {
				t.Fatal(err)
			}
			trainTask(t, net, open(), regression{"s2"}, d, c)
			if !bytes.Equal(saved(t, parts), saved(t, whole)) {
				t.Errorf("executor %d, frozen %v: another state after an interruption", i, frozen)
			}
		}
		if d := distance(added[0], added[1]); !(d < 1e-3) || len(added[0]) != 6 {
			t.Errorf("frozen %v: the new weights %v and %v", frozen, added[0], added[1])
		}
	}
}

// Parameters that a task adds are scored by their averages, as the model's are:
// those of decay 1 stay what training started from.
func TestAddedAverages(t *testing.T) {
	net, err := graph.Read(toyNet(t, 0).Model(), "s2")
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range []finetune.Executor{&tape.Executor[float32]{}, machine(t)} {
		var losses []float64
		r := trainTask(t, net, x, regression{"s2"}, bright{[3]int{8, 6, 6}}, finetune.Config{
			Epochs: 3, BatchSize: 4, LearningRate: .05, Frozen: true, EMA: 1,
			Report: func(e finetune.Event) error {
				if e.Kind == finetune.Evaluated && e.Split == finetune.Validation {
					losses = append(losses, e.Score.Loss)
				}
				return nil
			},
		})
		if len(losses) != 3 || losses[1] != losses[0] || losses[2] != losses[0] {
			t.Errorf("executor %d: losses %v, expected one and the same", i, losses)
		}
		if got := r.Added["regress.w"]; !slices.Equal(got, slices.Repeat([]float32{.1}, 6)) {
			t.Errorf("executor %d: averages %v of the new weights, expected those at the start", i, got)
		}
	}
}

// In mode fixed the head is trained alone, also one that the task adds.
func TestFixedAdded(t *testing.T) {
	net, err := graph.Read(toyNet(t, 0).Model(), "s2")
	if err != nil {
		t.Fatal(err)
	}
	c := finetune.Config{Epochs: 2, BatchSize: 4, LearningRate: .05, Frozen: true, Rules: finetune.Rules{Mode: finetune.Mode{Fixed: true}}}
	r := trainTask(t, net, &tape.Executor[float32]{}, regression{"s2"}, bright{[3]int{8, 6, 0}}, c)
	if got := r.Added["regress.w"]; len(got) != 6 || slices.Equal(got, slices.Repeat([]float32{.1}, 6)) {
		t.Errorf("the new weights are %v", got)
	}
	was, _ := net.Values("s1.w")
	if now, err := r.BestModel.Floats("s1.w"); err != nil || !slices.Equal(now, was) {
		t.Errorf("the stem is trained: %v", err)
	}
	if r.Plan.Parameters != 7 {
		t.Errorf("%d parameters are trained, expected those of the head", r.Plan.Parameters)
	}
}
