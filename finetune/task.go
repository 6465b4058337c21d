package finetune

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Task is what a network is trained to do: the programs that a batch needs, what
// they are given besides the images, and how their outputs are scored.
type Task interface {
	// Step makes what trains on batches of c.Batch rows. c is what the steps of all
	// tasks have in common, for Network.Program: which parameters are trained, the
	// optimizer, the mode of batch norms. The same arguments give the same step.
	Step(net *graph.Network, c graph.Config) (Step, error)

	// Scorer makes what scores the network on batches of c.Batch rows.
	Scorer(net *graph.Network, c graph.Config) (Scorer, error)

	// Figure names the figure of a Score that ranks epochs, the larger the better.
	// "" ranks by the loss.
	Figure() string
}

// Step trains on batches of one size.
type Step interface {
	// Programs are all that Run runs, in order: memory and state are theirs.
	Programs() []*graph.Program

	// Run trains on the pass's batch and returns the loss before the update. There
	// may be Go code between its programs.
	Run(p *Pass) (loss float64, err error)
}

// Scorer scores weights on rows, batch by batch.
type Scorer interface {
	Programs() []*graph.Program // all that Add runs

	Reset()            // forgets all rows
	Add(p *Pass) error // runs the programs on a batch and takes in what they say
	Score() Score      // of all rows since Reset, figures of 0 where there are none; Epoch and TrainLoss are left to Train
}

// FeatureTask is a Task whose programs may be given what the network's head reads
// in place of images, by graph.Config.Given: then features are computed once
// where nothing in front of the head changes.
type FeatureTask interface {
	Task
	OnFeatures() bool // whether this task's settings allow it
}

// Pass is one run of a task's programs on a batch.
type Pass struct {
	*Batch
	Split Split
	Step  int // steps done before

	seed     uint64
	numbers  map[string]float64 // inputs of shape [1]
	dropouts []graph.Dropout
	x        Executor
}

// Run runs a program. It is given in; what the batch has of its inputs, padded
// with rows of zeros to the program's number of rows; the learning rate and what
// else the optimizer needs; and the masks of dropouts, which follow from the
// seed, the step and the node alone. out, by name, takes the outputs.
func (p *Pass) Run(program *graph.Program, in, out map[string][]float32) error {
	all := map[string][]float32{}
	for _, i := range program.Leaves(graph.Input) {
		n := program.Nodes[i]
		if v, ok := in[n.Name]; ok {
			all[n.Name] = v
		} else if v, ok := p.numbers[n.Name]; ok {
			all[n.Name] = []float32{float32(v)}
		} else if v, ok := p.Inputs[n.Name]; ok {
			if all[n.Name], ok = padded(v, p.N(), n.Shape); !ok {
				return fmt.Errorf("finetune: the data give %d values of %q for %d rows, a program expects %v", len(v), n.Name, p.N(), n.Shape)
			}
		}
		for _, d := range p.dropouts {
			if d.Name == n.Name {
				all[n.Name] = mask(p.Random(n.Name), n.Shape.Size(), d.Ratio)
			}
		}
	}
	return p.x.Run(context.Background(), program, all, out) // a step that has begun is finished
}

// Random is the random numbers of one purpose in this step: the same in each run
// with the same seed.
func (p *Pass) Random(purpose string) *rand.Rand { return stream(p.seed, purpose, p.Step) }

// padded is v, of n rows, with rows of zeros up to a shape. It uses the memory
// behind v where there is enough.
func padded(v []float32, n int, s graph.Shape) ([]float32, bool) {
	size := s.Size()
	if len(s) == 0 || n > s[0] || len(v)*s[0] != size*n {
		return nil, false
	}
	if cap(v) < size {
		v = append(make([]float32, 0, size), v...)
	}
	v = v[:size]
	clear(v[n*(size/s[0]):])
	return v, true
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

// Figure is a named number of a Score.
type Figure struct {
	Name  string
	Value float64
}

// Score is how good the weights are after an epoch. As JSON it is one object:
// epoch, n, loss, the figures by their names, and train_loss.
type Score struct {
	Epoch     int     // from 1 on
	N         int     // rows
	Loss      float64 // mean over the rows, as the task has it
	Figures   []Figure
	TrainLoss float64 // mean over the steps of the epoch
}

// Figure is the value of a figure, NaN where there is none of this name.
func (s Score) Figure(name string) float64 {
	for _, f := range s.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	return math.NaN()
}

// better compares by a figure, and by the loss where that is the same or none.
func (s Score) better(than Score, figure string) bool {
	if figure == "" {
		return s.Loss < than.Loss
	}
	a, b := s.Figure(figure), than.Figure(figure)
	return a > b || a == b && s.Loss < than.Loss
}
