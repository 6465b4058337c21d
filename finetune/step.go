package finetune

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/metrics"
)

// program is the step for so many rows. Frozen batch norms do not see other
// rows, so one program does for all: short batches are padded with rows of
// weight 0. Adapting ones have a program for each size, so that the statistics
// are those of real rows.
func (t *trainer) program(rows int) (*graph.Program, error) {
	if t.Frozen {
		rows = t.Batch
	}
	if p, ok := t.programs[rows]; ok {
		return p, nil
	}
	c := t.config
	c.Batch, c.Optimizer, c.Clip, c.EMA = rows, t.Optimizer, t.Clip, t.EMA
	p, err := t.net.Program(c)
	if err != nil {
		return nil, err
	}
	t.programs[rows] = p
	return p, nil
}

// step trains on a batch and returns its loss before.
func (t *trainer) step(b *batch, rate float64) (float64, error) {
	t.miss(Training, b)
	if err := t.labels(Training, b); err != nil {
		return 0, err
	}
	if b.n == 0 || b.n == 1 && !t.Frozen {
		return 0, nil // images that cannot be read have left too few
	}
	p, err := t.program(b.n)
	if err != nil {
		return 0, err
	}
	in := t.inputs(p, b)
	number := func(name string, v float64) { in[name] = []float32{float32(v)} }
	number(graph.LR, rate)
	if o, ok := t.Optimizer.(graph.AdamW); ok {
		done := float64(t.state.Step + 1)
		number(graph.Correction1, 1-math.Pow(o.Beta1, done))
		number(graph.Correction2, math.Sqrt(1-math.Pow(o.Beta2, done)))
	}
	targets := t.targets(b, p.Nodes[leaf(p, graph.Targets)].Shape[0])
	if t.Mix != nil {
		t.Mix(stream(t.Seed, "mix", t.state.Step), b.images[:b.n*t.width], targets[:b.n*t.state.Classes], b.n)
	}
	in[graph.Targets] = targets
	loss := make([]float32, 1)
	err = t.x.Run(context.Background(), p, in, map[string][]float32{graph.Loss: loss})
	return float64(loss[0]), err
}

// leaf finds a leaf by its name, which must be there.
func leaf(p *graph.Program, name string) int {
	for i, n := range p.Nodes {
		if n.Op == nil && n.Name == name {
			return i
		}
	}
	return 0
}

// inputs are the images, or features, and the masks of dropouts: those of the
// step, made from the seed, the step and the node alone.
func (t *trainer) inputs(p *graph.Program, b *batch) map[string][]float32 {
	in := map[string][]float32{}
	for _, i := range p.Leaves(graph.Input) {
		n := p.Nodes[i]
		if n.Name == graph.Images || n.Name == graph.Features {
			in[n.Name] = b.images[:n.Shape.Size()]
			clear(in[n.Name][b.n*t.width:])
		}
		for _, d := range t.net.Dropouts() {
			if d.Name == n.Name {
				in[n.Name] = mask(stream(t.Seed, n.Name, t.state.Step), n.Shape.Size(), d.Ratio)
			}
		}
	}
	return in
}

// mask is 0 with a probability of ratio, else 1/(1-ratio).
func mask(r *rand.Rand, n int, ratio float64) []float32 {
	values := make([]float32, n)
	for k := range values {
		if r.Float64() >= ratio {
			values[k] = float32(1 / (1 - ratio))
		}
	}
	return values
}

// targets are rows of 1 - s + s/K at the label and s/K elsewhere, s being the
// smoothing, over the number of real rows; what pads is 0. torch's
// cross_entropy with label_smoothing does the same.
func (t *trainer) targets(b *batch, rows int) []float32 {
	k := t.state.Classes
	out := make([]float32, rows*k)
	rest := t.Smoothing / float64(k)
	for i, label := range b.labels {
		row := out[i*k:][:k]
		for j := range row {
			row[j] = float32(rest / float64(b.n))
		}
		row[label] = float32((1 - t.Smoothing + rest) / float64(b.n))
	}
	return out
}

// labels wants those that the network has an output for.
func (t *trainer) labels(s Split, b *batch) error {
	for i, label := range b.labels {
		if label >= t.state.Classes {
			return fmt.Errorf("finetune: row %d of split %s is of class %d, expected one below %d, as the network has outputs; another head is needed", b.rows[i], s, label, t.state.Classes)
		}
	}
	return nil
}

// miss notes the rows of a batch that could not be read.
func (t *trainer) miss(s Split, b *batch) {
	for _, row := range b.missed {
		t.missed[missing{s, row}] = true
	}
}

// evaluate scores the weights, or their averages, on a split.
func (t *trainer) evaluate(ctx context.Context, s Split) (Score, error) {
	began := t.now()
	n, k := t.data.Rows(s), t.state.Classes
	if n == 0 {
		return Score{}, nil
	}
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	scores, loss := metrics.New(k, metrics.Config{}), 0.0
	logits := make([]float32, t.Batch*k)
	for b, err := range batches(ctx, t.data, s, rows, 0, t.Batch, t.width) {
		if err != nil {
			return Score{}, err
		}
		t.miss(s, b)
		if err := t.labels(s, b); err != nil {
			return Score{}, err
		}
		in := t.inputs(t.scoring, b)
		if err := t.x.Run(context.Background(), t.scoring, in, map[string][]float32{graph.Logits: logits}); err != nil {
			return Score{}, err
		}
		for i, label := range b.labels {
			row := logits[i*k:][:k]
			l := crossEntropy(row, label)
			if !finite(l) {
				return Score{}, t.diverged(s.String()+" loss", t.rate(max(t.state.Step-1, 0)))
			}
			loss += l
			if err := scores.Add(row, label); err != nil {
				return Score{}, err
			}
		}
	}
	t.scores = t.now().Sub(began)
	mean, _ := scores.MeanPerClass()
	return Score{N: scores.N(), Loss: loss / float64(max(scores.N(), 1)), Top1: scores.Top1(), MeanPerClass: mean}, nil
}

// crossEntropy is log(sum exp x) - x[label].
func crossEntropy(x []float32, label int) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(x[label])
}
