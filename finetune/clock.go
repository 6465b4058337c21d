package finetune

import (
	"math"
	"time"
)

const (
	timed  = 5   // steps that the speed is taken from, after a first one that compiles
	window = 20  // steps that the speed is taken from later on
	spare  = .95 // share of the time that is planned with
)

// clock tells how long things take.
type clock struct {
	now    func() time.Time
	began  time.Time
	before time.Duration // of earlier sittings
	ticks  []time.Time   // ends of the last steps
	sizes  []int         // their rows
	steps  int           // in this sitting
	scores time.Duration // of the last evaluation; 0: none yet
}

func (c *clock) elapsed() time.Duration { return c.before + c.now().Sub(c.began) }

// tick notes the end of a step and returns the images per second of the last
// ones, 0 at first.
func (c *clock) tick(rows int) float64 {
	c.steps++
	c.ticks, c.sizes = append(c.ticks, c.now()), append(c.sizes, rows)
	if len(c.ticks) > window {
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

// perStep is how long a step takes, 0 where it is not known yet.
func (c *clock) perStep() time.Duration {
	if c.steps <= timed {
		return 0
	}
	return c.ticks[len(c.ticks)-1].Sub(c.ticks[0]) / time.Duration(len(c.ticks)-1)
}

// perEvaluation is how long an evaluation takes; before the first one it is
// taken for a third of so many steps, which go forward once and back twice.
func (t *trainer) perEvaluation() time.Duration {
	if t.scores > 0 {
		return t.scores
	}
	batches := (t.plan.Validation + t.BatchSize - 1) / t.BatchSize
	return t.perStep() * time.Duration(batches) / 3
}

// left is the time until the end, 0 where it is not known yet.
func (t *trainer) left() time.Duration {
	if t.perStep() == 0 {
		return 0
	}
	epochs := (t.plan.Steps+t.plan.Epoch-1)/t.plan.Epoch - t.state.Epoch
	return t.perStep()*time.Duration(t.plan.Steps-t.state.Step) + t.perEvaluation()*time.Duration(epochs)
}

// late fits the plan to Config.MaxTime once the first steps have been timed,
// and tells whether no further step fits.
func (t *trainer) late() (bool, error) {
	if t.MaxTime == 0 {
		return false, nil
	}
	rest := t.MaxTime - t.elapsed()
	if per := t.perStep(); per > 0 && !t.state.Fitted {
		share := per + t.perEvaluation()/time.Duration(t.plan.Epoch)
		steps := math.Floor(spare * float64(rest) / float64(share))
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

// shorten plans with no more than so many steps.
func (t *trainer) shorten(steps int) {
	t.plan.Steps = min(steps, t.plan.Steps)
	t.plan.Epochs = (t.plan.Steps + t.plan.Epoch - 1) / t.plan.Epoch
	t.state.Fitted = true
}

// learningRate is that of a step, counted from 0 on. A warm-up that nobody asked
// for takes at most a quarter of the steps, as does any warm-up of a run that was
// fitted to the time.
func (t *trainer) learningRate(step int) float64 {
	warm := int(math.Round(t.Warmup * float64(t.plan.Epoch)))
	if t.briefWarmup || t.state.Fitted {
		warm = min(warm, t.plan.Steps/4)
	}
	return t.LearningRate * Warmup{warm, t.Schedule}.Factor(step, t.plan.Length)
}
