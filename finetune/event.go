package finetune

import (
	"time"

	"github.com/robust-transfer/rtx/onnx"
)

// Kind is the kind of an Event.
type Kind string

// The kinds of events.
const (
	Started   Kind = "start" // Plan is what will be done; Lines > 0 if training continues from a checkpoint
	Cached    Kind = "cache" // the features of this many Rows are computed
	Fitted    Kind = "fit"   // Plan was fitted to Config.MaxTime
	Stepped   Kind = "step"
	Evaluated Kind = "eval"
	Ended     Kind = "end"
)

// Event is a step in the course of training. Fields that do not apply to its Kind
// are zero.
type Event struct {
	Kind  Kind
	Plan  Plan
	Lines int // of Started: the number of Started, Stepped and Evaluated events before the checkpoint; later ones will be repeated

	Epoch int // counted from 1; 0 before training
	Step  int // steps done in total

	Loss            float64  // of the step's batch, before the update
	Losses          []Figure // what Loss is the sum of, if the task says it (Pass.Losses)
	LearningRate    float64
	Rows            int           // in the step's batch
	ImagesPerSecond float64       // over the last steps
	Left            time.Duration // time until training ends; 0: not known yet

	Split Split // of Evaluated
	Score Score
	Best  bool // it is the best epoch so far
	// Model returns the model with the weights that were evaluated. It is valid until
	// Report returns.
	Model func() (*onnx.Model, error)

	Stop   Stop    // of Ended
	Doubts []Doubt // of Ended, if it is not Canceled
}

// Plan is the extent of a training.
type Plan struct {
	Length     `json:"length"`
	Epochs     int   `json:"epochs"`     // including an incomplete last one
	Rows       int   `json:"rows"`       // training rows
	LeftOut    int   `json:"left_out"`   // training rows left out in each epoch, so that no batch has one row
	Validation int   `json:"validation"` // validation rows
	Parameters int   `json:"parameters"` // number of trained weights
	Memory     int64 `json:"memory"`     // estimate in bytes: see Memory
	State      int64 `json:"state"`      // part of Memory that does not depend on the batch size
	Cached     bool  `json:"cached"`     // features are computed once, and only the head is run in steps
}

// Stop is why training ended.
type Stop string

// The reasons.
const (
	AllSteps      Stop = "done"
	OutOfPatience Stop = "patience" // no improvement for Config.Patience epochs
	OutOfTime     Stop = "time"     // Config.MaxTime was over sooner than the first steps suggested
	Canceled      Stop = "canceled" // by the context; the state is saved
)
