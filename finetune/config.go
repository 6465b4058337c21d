package finetune

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Config changes how a network is trained. The zero value is the recipe
// "default".
type Config struct {
	Epochs int    // 0: 20
	Batch  int    // images in a step; 0: 32
	Size   [2]int // height and width of images; zero: the Spec's
	Seed   uint64 // of the order of rows, of mixtures and of dropouts

	// Frozen batch norms normalise by their running statistics, which stay as
	// they are; else those of the batch normalise, and the running ones are
	// re-estimated.
	Frozen bool
	Rules  Rules // which parameters are trained, and how

	Optimizer graph.Optimizer // nil: SGD, momentum 0.9, Nesterov
	Rate      float64         // learning rate; 0: 0.01 x Batch/64
	Schedule  Schedule        // of the rate; nil: Cosine
	Warmup    float64         // epochs in which the rate rises; 0: 1, at most a quarter of all; negative: none
	Clip      float64         // largest global norm of the gradients; 0: any
	EMA       float64         // decay of the averages that are evaluated in place of the weights; 0: none

	Smoothing float64 // share of a target that is spread over all classes
	// Mix mixes a batch's images [N,...] and targets [N,K] in place, as mixup
	// does; nil: none.
	Mix func(r *rand.Rand, images, targets []float32, n int)

	PerClass bool // mean per-class accuracy, not top-1, says which epoch is best
	Patience int  // epochs without a better one after which training stops; 0: 10, negative: any

	// MaxTime is how long training may take: once the first steps have been
	// timed, epochs and schedule are fitted to it. 0: as long as it takes.
	MaxTime time.Duration

	// Plain says that a training row is the same in each epoch, that is without
	// random augmentation. Then features are computed once where nothing in front
	// of the head changes.
	Plain bool

	Store  Store             // keeps checkpoints, and continues from what it has; nil: none
	Report func(Event) error // is told what happens; its errors end the training. nil: none
	Now    func() time.Time  // nil: time.Now
}

func (c Config) withDefaults() (Config, error) {
	c.Epochs, c.Batch, c.Patience = or(c.Epochs, 20), or(c.Batch, 32), or(c.Patience, 10)
	c.Rate = or(c.Rate, .01*float64(c.Batch)/64)
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
		{"epochs", float64(c.Epochs), 1, 1e9}, {"batch", float64(c.Batch), 1, 1e6}, {"learning rate", c.Rate, 0, 1e9},
		{"clip", c.Clip, 0, 1e300}, {"EMA", c.EMA, 0, 1}, {"label smoothing", c.Smoothing, 0, 1},
	} {
		if !(v.value >= v.low && v.value <= v.top) {
			return c, fmt.Errorf("finetune: %s %v, expected %v to %v", v.name, v.value, v.low, v.top)
		}
	}
	return c, nil
}
