package finetune

import (
	"time"

	"github.com/robust-transfer/rtx/onnx"
)

// Kind is what an Event tells of.
type Kind string

// The kinds of events.
const (
	Started   Kind = "start" // Plan is what will be done. With Lines > 0 an earlier run goes on
	Cached    Kind = "cache" // the features of so many Rows are computed
	Fitted    Kind = "fit"   // Plan was fitted to Config.MaxTime
	Stepped   Kind = "step"
	Evaluated Kind = "eval"
	Ended     Kind = "end"
)

// Event is what Config.Report is told; fields that its kind does not need are
// zero.
type Event struct {
	Kind  Kind
	Plan  Plan
	Lines int // of Started: how many starts, steps and evaluations count; what was reported after them is done again

	Epoch int // from 1 on
	Step  int // steps done, in all

	Loss            float64 // of the step's batch, as it was trained on
	LearningRate    float64
	Rows            int           // of the step
	ImagesPerSecond float64       // of the last steps
	Left            time.Duration // until the end, evaluations included; 0: not known yet

	Split Split // of Evaluated
	Score Score
	Best  bool // no epoch before was better
	// Model returns the network with the weights that were evaluated, good until
	// Report returns.
	Model func() (*onnx.Model, error)

	Stop Stop // of Ended
}

// Plan is what training will take.
type Plan struct {
	Length     `json:"length"`
	Epochs     int   `json:"epochs"`     // begun ones
	Rows       int   `json:"rows"`       // to train on
	LeftOut    int   `json:"left_out"`   // rows of each epoch that are left out: a last batch of one
	Validation int   `json:"validation"` // rows
	Parameters int   `json:"parameters"` // numbers that are trained
	Memory     int64 `json:"memory"`     // bytes, an estimate: see Memory
	State      int64 `json:"state"`      // bytes of it that do not depend on the batch size
	Cached     bool  `json:"cached"`     // features are computed once
}

// Stop is why training ended.
type Stop string

// The reasons.
const (
	AllSteps      Stop = "done"
	OutOfPatience Stop = "patience" // no better epoch for Config.Patience
	OutOfTime     Stop = "time"     // Config.MaxTime was over sooner than the first steps had let expect
	Canceled      Stop = "canceled" // by the context; what was done is saved
)
