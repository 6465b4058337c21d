package finetune

import (
	"fmt"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Config changes how a network is trained. The zero value is the recipe
// "default".
type Config struct {
	Epochs    int    // 0: 20
	BatchSize int    // rows in a step; 0: 32
	Size      [2]int // height and width of images; zero: the Spec's
	Seed      uint64 // of the order of rows, and of what else is random

	// Frozen batch norms normalise by their running statistics, which stay as
	// they are. Otherwise those of the batch normalise, and the running statistics
	// are re-estimated.
	Frozen bool
	Rules  Rules // which parameters are trained, and how

	Optimizer    graph.Optimizer // nil: SGD, momentum 0.9, Nesterov
	LearningRate float64         // 0: 0.01 x BatchSize/64
	Schedule     Schedule        // of the learning rate; nil: Cosine
	Warmup       float64         // epochs in which the learning rate rises; 0: 1, at most a quarter of all; negative: none
	Clip         float64         // largest global norm of the gradients; 0: any
	EMA          float64         // decay of the moving averages that are evaluated in place of the weights; 0: none

	Patience int // epochs without a better one after which training stops; 0: 10, negative: any

	// MaxTime is how long training may take: once the first steps have been
	// timed, epochs and schedule are fitted to it. 0: as long as it takes.
	MaxTime time.Duration

	// Unaugmented says that a training row is the same in each epoch. Then features
	// are computed once where nothing in front of the head changes.
	Unaugmented bool

	Store  Store             // keeps checkpoints, and continues from what it has; nil: none
	Report func(Event) error // is told what happens; its errors end the training. nil: none
	Now    func() time.Time  // nil: time.Now
}

func (c Config) withDefaults() (Config, error) {
	c.Epochs, c.BatchSize, c.Patience = or(c.Epochs, 20), or(c.BatchSize, 32), or(c.Patience, 10)
	c.LearningRate = or(c.LearningRate, .01*float64(c.BatchSize)/64)
	c.Warmup = max(or(c.Warmup, 1), 0)
	if c.Optimizer == nil {
		c.Optimizer = graph.SGD{Momentum: .9, Nesterov: true}
	}
	if c.Schedule == nil {
		c.Schedule = Cosine{}
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
