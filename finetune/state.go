package finetune

import (
	"errors"
	"fmt"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// State is all that training needs to go on as if it had never stopped: the
// same bytes come out, on the same executor and number of threads. Random
// numbers follow from the seed, the epoch and the step.
type State struct {
	// Of the run, which must be that of the Config.
	Seed                    uint64
	Batch, Rows, Validation int

	Length  Length        // as it was planned, or fitted to the time
	Fitted  bool          // to Config.MaxTime
	Over    bool          // the time was, before the steps it was fitted to
	Step    int           // steps done
	Epoch   int           // epochs done, their evaluation included
	Losses  float64       // sum over the steps of the epoch that is not done
	Stale   int           // epochs since the best one
	Best    *Score        `json:",omitempty"`
	Last    *Score        `json:",omitempty"`
	Lines   int           // events reported, but for the starts of continuations
	Elapsed time.Duration // of all sittings

	// Tensors are the executor's variables that training updates, and the best
	// epoch's parameters.
	Tensors []Tensor `json:"-"`
	// Read copies the values of one, as Executor.Read.
	Read func(t Tensor, dst []float32) error `json:"-"`
}

// Tensor is a tensor of a State.
type Tensor struct {
	graph.Variable
	Best  bool // the parameter in the best epoch, not as it is now
	Shape graph.Shape
}

func (t Tensor) String() string {
	if t.Best {
		return "best " + t.Variable.String()
	}
	return t.Variable.String()
}

// Store keeps the last State.
type Store interface {
	// Save replaces the State that is there, which stays where it fails. It does
	// not keep s.Read.
	Save(s *State) error
	// Load returns the State; the error is ErrNoState where there is none.
	Load() (*State, error)
}

// ErrNoState says that a Store is empty.
var ErrNoState = errors.New("no saved state")

// check compares what a State was made for with what is to be trained.
func (s *State) check(now *State) error {
	for _, v := range []struct {
		name      string
		got, want uint64
	}{
		{"seed", s.Seed, now.Seed},
		{"batch size", uint64(s.Batch), uint64(now.Batch)},
		{"number of training rows", uint64(s.Rows), uint64(now.Rows)},
		{"number of validation rows", uint64(s.Validation), uint64(now.Validation)},
	} {
		if v.got != v.want {
			return fmt.Errorf("finetune: the saved state is of another run: its %s is %d, now it is %d", v.name, v.got, v.want)
		}
	}
	if s.Length.Epoch != now.Length.Epoch || s.Length.Steps != now.Length.Steps && !(s.Fitted && s.Length.Steps < now.Length.Steps) {
		return fmt.Errorf("finetune: the saved state is of another run: of %d steps of which %d are an epoch, now there are %d and %d",
			s.Length.Steps, s.Length.Epoch, now.Length.Steps, now.Length.Epoch)
	}
	least, most := s.Epoch*s.Length.Epoch, (s.Epoch+1)*s.Length.Epoch
	if s.Fitted { // the last epoch may be cut
		least -= s.Length.Epoch
	}
	if s.Epoch < 0 || s.Step < max(least, 0) || s.Step > min(most, s.Length.Steps) || (s.Best == nil) != (s.Epoch == 0) {
		return fmt.Errorf("finetune: the saved state is damaged: %d of %d steps, %d epochs of %d", s.Step, s.Length.Steps, s.Epoch, s.Length.Epoch)
	}
	return nil
}

// values reads a tensor.
func (s *State) values(want Tensor) ([]float32, error) {
	for _, t := range s.Tensors {
		if t.Variable != want.Variable || t.Best != want.Best {
			continue
		}
		if !t.Shape.Equal(want.Shape) {
			return nil, fmt.Errorf("finetune: the saved state is of another run: its tensor %q has shape %v, expected %v", t, t.Shape, want.Shape)
		}
		values := make([]float32, t.Shape.Size())
		if err := s.Read(t, values); err != nil {
			return nil, fmt.Errorf("finetune: continue: %w", err)
		}
		return values, nil
	}
	return nil, fmt.Errorf("finetune: the saved state is of another run: it has no tensor %q, expected one of shape %v", want, want.Shape)
}
