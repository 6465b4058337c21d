package finetune

import (
	"fmt"
	"math"
)

// DoubtKind says what makes a training suspect.
type DoubtKind string

// The kinds of doubts.
const (
	AboveChance DoubtKind = "above_chance" // at the end a loss was more than three times that of guessing
	NeverLower  DoubtKind = "never_lower"  // the mean training loss of no epoch was below the loss of the first step
)

// farAboveChance is how many times the loss of guessing a loss must be to be far above
// it. The loss of a network that overfits rises above that of guessing too, as it is sure
// of its mistakes; it stays below this.
const farAboveChance = 3

// doubtfulSteps is the least number of steps for NeverLower: in a few steps the loss of
// batches varies more than training lowers it.
const doubtfulSteps = 10

// Doubt is a reason to distrust a training that ended: its numbers stayed finite, but it
// has diverged, or learned nothing. If they do not stay finite, Train returns a Diverged.
type Doubt struct {
	Kind  DoubtKind `json:"kind"`
	Split string    `json:"split"` // whose loss: train (its mean over the last epoch, or the lowest one), val (of the last epoch) or test (of the best)
	Loss  float64   `json:"loss"`
	Than  float64   `json:"than"` // what it is compared with: the loss of guessing, or of the first step
}

func (d Doubt) String() string {
	if d.Kind == NeverLower {
		return fmt.Sprintf("the training loss of no epoch was below that of the first step (%.4g, the lowest %.4g): nothing was learned", d.Than, d.Loss)
	}
	return fmt.Sprintf("the %s loss at the end is %.4g, far above that of guessing, %.4g: training has diverged, or the network is sure of wrong answers", d.Split, d.Loss, d.Than)
}

// Guessing is a Scorer that knows the loss of guessing: that of a network that has
// learned nothing. It is ln K for a cross-entropy over K classes. Where a task has no
// such loss, as in regression, only NeverLower is told.
type Guessing interface {
	Scorer
	GuessLoss() float64
}

// doubts looks at a training that has ended; test is nil without test rows.
func (t *trainer) doubts(test *Score) (all []Doubt) {
	last := t.state.Last
	if last == nil {
		return nil
	}
	if g, ok := t.scorer.(Guessing); ok && g.GuessLoss() > 0 {
		chance := g.GuessLoss()
		losses := []Doubt{{Split: Training.String(), Loss: last.TrainLoss}, {Split: Validation.String(), Loss: last.Loss}}
		if test != nil {
			losses = append(losses, Doubt{Split: Test.String(), Loss: test.Loss})
		}
		for _, d := range losses {
			if d.Loss > farAboveChance*chance { // not so if there are no rows: NaN
				d.Kind, d.Than = AboveChance, chance
				all = append(all, d)
			}
		}
	}
	first, lowest := t.state.First, t.state.Lowest
	// Weights that were good before training need not get better on augmented rows.
	if first != nil && lowest != nil && *lowest >= *first && t.state.Step >= doubtfulSteps && t.state.Start == nil {
		all = append(all, Doubt{Kind: NeverLower, Split: Training.String(), Loss: *lowest, Than: *first})
	}
	return all
}

// noteLoss keeps the loss of the first step.
func (t *trainer) noteLoss(loss float64) {
	if t.state.First == nil && t.state.Step == 1 {
		t.state.First = &loss
	}
}

// noteEpoch keeps the lowest mean training loss of an epoch.
func (t *trainer) noteEpoch(loss float64) {
	if t.state.Lowest != nil {
		loss = math.Min(loss, *t.state.Lowest)
	}
	t.state.Lowest = &loss
}
