package finetune

import (
	"math"
	"time"
)

const (
	timedSteps  = 5   // steps to time before the speed is known; the one before them, which compiles, does not count
	speedWindow = 20  // the speed is that of this many last steps
	plannedTime = .95 // fraction of Config.MaxTime to plan with
)

// clock measures and predicts how long training takes.
type clock struct {
	now    func() time.Time
	began  time.Time
	before time.Duration // elapsed in earlier runs of an interrupted training
	ticks  []time.Time   // when the last steps ended
	sizes  []int         // rows of those steps
	steps  int           // steps done since it began
	scores time.Duration // how long the last evaluation took; 0: none yet
}

func (c *clock) elapsed() time.Duration { return c.before + c.now().Sub(c.began) }

// tick records the end of a step and returns the images per second of the last
// steps, 0 at first.
func (c *clock) tick(rows int) float64 {
	c.steps++
	c.ticks, c.sizes = append(c.ticks, c.now()), append(c.sizes, rows)
	if len(c.ticks) > speedWindow {
		c.ticks, c.sizes = c.ticks[1:], c.sizes[1:]
	}
	images := 0
	for _, n := range c.sizes[1:] {
		images += n
	}
	d := c.ticks[len(c.ticks)-1].Sub(c.ticks[0])
	if images == 0 || d <= 0 {
		return 0
	}
	return float64(images) / d.Seconds()
}

// perStep is how long a step takes, 0 while it is not known.
func (c *clock) perStep() time.Duration {
	if c.steps <= timedSteps {
		return 0
	}
	return c.ticks[len(c.ticks)-1].Sub(c.ticks[0]) / time.Duration(len(c.ticks)-1)
}

// perEvaluation is how long an evaluation takes. Before the first one it is
// estimated as a third of as many training steps: a backward pass takes about twice
// as long as a forward pass.
func (t *trainer) perEvaluation() time.Duration {
	if t.scores > 0 {
		return t.scores
	}
	batches := (t.plan.Validation + t.BatchSize - 1) / t.BatchSize
	return t.perStep() * time.Duration(batches) / 3
}

// remaining is the time until training ends, 0 while it is not known.
func (t *trainer) remaining() time.Duration {
	if t.perStep() == 0 {
		return 0
	}
	epochs := (t.plan.Steps+t.plan.Epoch-1)/t.plan.Epoch - t.state.Epoch
	return t.perStep()*time.Duration(t.plan.Steps-t.state.Step) + t.perEvaluation()*time.Duration(epochs)
}

// outOfTime fits the plan to Config.MaxTime once the first steps have been timed,
// and reports whether there is no time for another step.
func (t *trainer) outOfTime() (bool, error) {
	if t.MaxTime == 0 {
		return false, nil
	}
	rest := t.MaxTime - t.elapsed()
	if per := t.perStep(); per > 0 && !t.state.Fitted {
		share := per + t.perEvaluation()/time.Duration(t.plan.Epoch)
		steps := math.Floor(plannedTime * float64(rest) / float64(share))
		t.shorten(t.state.Step + max(int(steps), 0))
		if err := t.report(Event{Kind: Fitted}); err != nil {
			return false, err
		}
	}
	if rest-t.perEvaluation() < t.perStep() || rest <= 0 {
		t.state.Over = t.state.Step < t.plan.Steps
		t.shorten(t.state.Step)
	}
	return t.state.Step >= t.plan.Steps, nil
}

// shorten reduces the plan to at most this many steps.
func (t *trainer) shorten(steps int) {
	t.plan.Steps = min(steps, t.plan.Steps)
	t.plan.Epochs = (t.plan.Steps + t.plan.Epoch - 1) / t.plan.Epoch
	t.state.Fitted = true
}
