package finetune

import (
	"fmt"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Config says how a network is trained. The zero value is the recipe "default".
type Config struct {
	Epochs    int    // 0: 20
	BatchSize int    // 0: 32
	Size      [2]int // height and width of images; zero: those of the Spec
	Seed      uint64 // of the order of rows and of all other randomness

	// Frozen makes batch norms normalise by their running statistics, which do not
	// change. Otherwise they normalise by the statistics of the batch and re-estimate
	// the running statistics.
	Frozen bool
	Rules  Rules // which parameters are trained, and how

	Optimizer    graph.Optimizer // nil: SGD, momentum 0.9, Nesterov
	LearningRate float64         // 0: 0.01 x BatchSize/64
	Schedule     Schedule        // of the learning rate; nil: Cosine
	Warmup       float64         // epochs in which the learning rate rises linearly; 0: 1, but at most a quarter of training; negative: none
	Clip         float64         // largest global norm of the gradients; 0: no limit
	EMA          float64         // decay of the moving averages of the weights, which are then evaluated instead of the weights; 0: none

	Patience int // training stops after this many epochs without improvement; 0: 10, negative: never

	// MaxTime is how long training may take. Once the first steps have been timed,
	// the number of epochs and the schedule are fitted to it. 0: no limit.
	MaxTime time.Duration

	// Unaugmented says that training rows are the same in each epoch. If in addition
	// only the head is trained, features are computed once.
	Unaugmented bool

	Store  Store             // keeps checkpoints; training continues from the one it has; nil: none
	Report func(Event) error // is called with each event; an error ends the training; nil: none
	Now    func() time.Time  // nil: time.Now
}

// Resolved returns the Config with the value of every setting that is left to its
// default, as it is for this many training rows. It trains the same as c, with the
// same bits.
func (c Config) Resolved(rows int) (Config, error) {
	c, err := c.withDefaults()
	if err != nil {
		return c, err
	}
	c.Rules = c.Rules.resolved()
	c.Schedule = completeSchedule(c.Schedule)
	if epoch := c.stepsPerEpoch(rows); c.Warmup == 0 {
		c.Warmup = float64(min(epoch, c.Epochs*epoch/4)) / float64(max(epoch, 1))
	}
	if c.Warmup <= 0 {
		c.Warmup = -1 // none, where 0 is the default
	}
	return c, nil
}

// leftOut is the number of training rows that are left out in each epoch: one where
// the last batch would be of one row, which has no statistics of its own.
func (c Config) leftOut(rows int) int {
	if !c.Frozen && rows > c.BatchSize && rows%c.BatchSize == 1 {
		return 1
	}
	return 0
}

func (c Config) stepsPerEpoch(rows int) int {
	return (rows - c.leftOut(rows) + c.BatchSize - 1) / c.BatchSize
}

func (c Config) withDefaults() (Config, error) {
	c.Epochs, c.BatchSize, c.Patience = orDefault(c.Epochs, 20), orDefault(c.BatchSize, 32), orDefault(c.Patience, 10)
	c.LearningRate = orDefault(c.LearningRate, .01*float64(c.BatchSize)/64)
	if c.Optimizer == nil {
		c.Optimizer = graph.SGD{Momentum: .9, Nesterov: true}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Report == nil {
		c.Report = func(Event) error { return nil }
	}
	for _, v := range []struct {
		name     string
		value    float64
		low, top float64
	}{
		{"epochs", float64(c.Epochs), 1, 1e9}, {"batch size", float64(c.BatchSize), 1, 1e6}, {"learning rate", c.LearningRate, 0, 1e9},
		{"clip", c.Clip, 0, 1e300}, {"EMA", c.EMA, 0, 1},
	} {
		if !(v.value >= v.low && v.value <= v.top) {
			return c, fmt.Errorf("finetune: %s %v, expected %v to %v", v.name, v.value, v.low, v.top)
		}
	}
	return c, nil
}
