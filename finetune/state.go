package finetune

import (
	"errors"
	"fmt"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// State is a checkpoint: all that training needs to continue as if it had never
// stopped, with the same bits on the same executor and number of threads. Random
// numbers need no state, as they depend only on the seed, the epoch and the step.
type State struct {
	// What the state belongs to; must agree with the Config and the Data.
	Seed                    uint64
	Batch, Rows, Validation int

	Length  Length        // as planned, or as fitted to Config.MaxTime
	Fitted  bool          // whether Length was fitted to Config.MaxTime
	Over    bool          // whether the time was over before the steps of Length
	Step    int           // steps done
	Epoch   int           // epochs completed, including their evaluation
	Losses  float64       // sum over the steps of the incomplete epoch
	Stale   int           // epochs since the best epoch
	First   *float64      `json:",omitempty"` // loss of the first step
	Lowest  *float64      `json:",omitempty"` // lowest mean training loss of an epoch
	Start   *Score        `json:",omitempty"` // of the weights that training started from, with Config.ScoreStart
	Best    *Score        `json:",omitempty"` // of the best epoch, which may be worse than Start
	Last    *Score        `json:",omitempty"`
	Lines   int           // number of Started, Stepped and Evaluated events, without the Started of continuations
	Elapsed time.Duration // including earlier runs

	// Tensors lists the variables that training updates, and the parameters of the
	// best epoch.
	Tensors []Tensor `json:"-"`
	// Read copies the values of one of Tensors.
	Read func(t Tensor, dst []float32) error `json:"-"`
}

// Tensor is a tensor of a State.
type Tensor struct {
	graph.Variable
	Best  bool // the parameter of the best epoch instead of the current one
	Shape graph.Shape
}

func (t Tensor) String() string {
	if t.Best {
		return "best " + t.Variable.String()
	}
	return t.Variable.String()
}

// Store keeps the last checkpoint.
type Store interface {
	// Save replaces the stored State, which stays if Save fails. It must not keep
	// s.Read, which is valid only during the call.
	Save(s *State) error
	// Load returns the stored State, or ErrNoState if there is none.
	Load() (*State, error)
}

// ErrNoState says that a Store is empty.
var ErrNoState = errors.New("no saved state")

// check reports whether a State fits the training that is to continue from it, and
// is consistent.
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
	least, most := min(s.Epoch*s.Length.Epoch, s.Length.Steps), (s.Epoch+1)*s.Length.Epoch // with Config.Steps the last epoch may be incomplete
	if s.Fitted {                                                                          // so may the last epoch before training was shortened
		least -= s.Length.Epoch
	}
	if s.Epoch < 0 || s.Step < max(least, 0) || s.Step > min(most, s.Length.Steps) || (s.Best == nil) != (s.Epoch == 0) {
		return fmt.Errorf("finetune: the saved state is damaged: %d of %d steps, %d epochs of %d", s.Step, s.Length.Steps, s.Epoch, s.Length.Epoch)
	}
	return nil
}

// values reads the values of a tensor.
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
