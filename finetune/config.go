package finetune

import (
	"fmt"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Config says how a network is trained. The zero value is the recipe "default".
type Config struct {
	Epochs    int    // 0: 20, and more for few rows, so that there are 300 steps at least; with Steps, as many as have them
	Steps     int    // ends training before the end of an epoch; 0: as many as the epochs have
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

	// Patience is the number of epochs without improvement after which training stops.
	// 0: 10, or half of the epochs where Epochs is 0; negative: never.
	Patience int

	// ScoreStart is for weights that are good before training, such as a head of
	// classify.FitProbe. They are scored on the validation rows, as epoch 0, and they
	// are the result unless the best epoch is better by more than a standard error of
	// the figure, sqrt(p (1-p) / N) with N validation rows and p the start's figure as
	// of two more rows of which one is right: the one-standard-error rule of Breiman et
	// al. (1984), by which the simpler of two models that cannot be told apart is
	// chosen. Of equally good epochs the latest is the best: few validation rows have
	// few different figures.
	ScoreStart bool

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

// What training takes at least if Config.Epochs is 0.
const (
	leastEpochs = 20
	leastSteps  = 300
)

// Resolved returns the Config with the value of every setting that is left to its
// default, as it is for this many training rows. It trains the same as c, with the
// same bits.
func (c Config) Resolved(rows int) (Config, error) {
	given := c
	c, err := c.withDefaults()
	if err != nil {
		return c, err
	}
	epoch := c.stepsPerEpoch(rows)
	if given.Epochs == 0 {
		c.Epochs = max(c.Epochs, (leastSteps+epoch-1)/max(epoch, 1))
	}
	if given.Patience == 0 && given.Epochs == 0 {
		c.Patience = c.Epochs / 2
	}
	if c.Steps > 0 {
		c.Epochs = (c.Steps + epoch - 1) / max(epoch, 1)
	}
	c.Rules = c.Rules.resolved()
	c.Schedule = completeSchedule(c.Schedule)
	if c.Warmup == 0 {
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
	c.Epochs, c.BatchSize = orDefault(c.Epochs, leastEpochs), orDefault(c.BatchSize, 32)
	c.Patience = orDefault(c.Patience, 10)
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
