package finetune

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Task is what a network is trained to do: the programs that are run on a batch, the
// inputs that they are given besides the images, and how outputs are scored.
type Task interface {
	// Step returns what trains on batches of c.Batch rows. It passes c, which says
	// which parameters are trained, the optimizer and the mode of batch norms, on to
	// Network.Program. With frozen batch norms a batch may have fewer rows: it is padded
	// with zeros. The same arguments give the same step.
	Step(net *graph.Network, c graph.Config) (Step, error)

	// Scorer returns what scores the network on batches of c.Batch rows or fewer.
	Scorer(net *graph.Network, c graph.Config) (Scorer, error)

	// Figure names the figure of a Score by which epochs are ranked; higher is better.
	// "" ranks them by the loss.
	Figure() string
}

// Step trains on batches of one size.
type Step interface {
	// Programs lists all programs that Run runs, in order. Train plans memory and
	// checkpoints by them.
	Programs() []*graph.Program

	// Run trains on the batch and returns the loss before the update. There may be Go
	// code between its programs. A loss that is not finite ends the training, as does the
	// error *NotFinite: it has diverged.
	Run(p *Pass) (loss float64, err error)
}

// NotFinite is the error of a Step or a Scorer that a value, such as the logits of a
// network, has become infinite or NaN. Train then returns a Diverged.
type NotFinite struct{ What string }

func (e *NotFinite) Error() string { return fmt.Sprintf("finetune: the %s is not finite", e.What) }

// Unwrap returns ErrNotFinite.
func (e *NotFinite) Unwrap() error { return ErrNotFinite }

// Scorer scores weights on rows, batch by batch.
type Scorer interface {
	Programs() []*graph.Program // all programs that Add runs

	Reset()            // forgets all rows added
	Add(p *Pass) error // runs the programs on a batch and adds its rows to the score
	Score() Score      // of all rows since Reset; if there are none, Train replaces the loss and the figures by NaN; Train sets Epoch and TrainLoss
}

// FeatureTask is a Task whose programs may be given the input of the network's head
// instead of images, by graph.Config.Given. Features are then computed once if only
// the head is trained. They and the truth are all that the programs are given then.
type FeatureTask interface {
	Task
	OnFeatures() bool // whether the task's settings allow it: its programs read no other input of the data, and no value in front of the head
}

// Pass is one run of a task's programs on a batch.
type Pass struct {
	*Batch
	Split Split
	Step  int // number of steps done before

	// Losses may be set by Step.Run: what its loss is the sum of. They become those of
	// the step's Event.
	Losses []Figure

	seed     uint64
	programs []*graph.Program   // that may be run
	numbers  map[string]float64 // inputs of shape [1]
	dropouts []graph.Dropout
	x        Executor
}

// Run runs a program. Its inputs are taken from in, from the optimizer (the learning
// rate), from the batch, padded with rows of zeros to the program's number of rows,
// and from the random masks of dropouts, which depend only on the seed, the step and
// the node. out receives outputs by name. The program must be one of
// the Step's or the Scorer's Programs.
func (p *Pass) Run(program *graph.Program, in, out map[string][]float32) error {
	if !slices.Contains(p.programs, program) { // what it updates would be neither saved nor exported
		return errors.New("finetune: a task runs a program that its Programs do not list")
	}
	all := map[string][]float32{}
	for _, i := range program.Leaves(graph.Input) {
		n := program.Nodes[i]
		if v, ok := in[n.Name]; ok {
			all[n.Name] = v
		} else if v, ok := p.numbers[n.Name]; ok {
			all[n.Name] = []float32{float32(v)}
		} else if v, ok := p.Inputs[n.Name]; ok {
			if !p.owns(n.Name) {
				v = slices.Clip(v)
			}
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

// Forget frees what the executor holds for programs, which may run again. Variables
// that they carry are no longer valid.
func (p *Pass) Forget(programs ...*graph.Program) error {
	x, ok := p.x.(interface{ Forget(*graph.Program) error })
	if !ok {
		return nil
	}
	var all []error
	for _, program := range programs {
		all = append(all, x.Forget(program))
	}
	return errors.Join(all...)
}

// Seed is that of the training, for randomness that Random does not give.
func (p *Pass) Seed() uint64 { return p.seed }

// Random returns random numbers for one purpose in this step. They are the same in
// each training with the same seed.
func (p *Pass) Random(purpose string) *rand.Rand { return newRand(p.seed, purpose, p.Step) }

// padded appends rows of zeros to v, of n rows, up to a shape. It uses v's spare
// capacity if that is enough.
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

// mask draws a dropout mask: 0 with probability ratio, else 1/(1-ratio).
func mask(r *rand.Rand, n int, ratio float64) []float32 {
	values := make([]float32, n)
	for k := range values {
		if r.Float64() >= ratio {
			values[k] = float32(1 / (1 - ratio))
		}
	}
	return values
}
