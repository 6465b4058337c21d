package attack

import (
	"fmt"
	"slices"
)

// Method is how images are searched for.
type Method string

// The methods. The zero Method is PGD.
const (
	// PGD is projected gradient descent (Madry et al. 2018): steps of a fixed size along
	// the sign of the gradient (Linf) or along the normalised gradient (L2), each
	// projected on the ball.
	PGD Method = "pgd"

	// APGD is Auto-PGD (Croce and Hein 2020): steps with momentum, whose size starts at
	// 2 Eps and is halved where the loss no longer increases.
	APGD Method = "apgd"

	// Square is the Square attack (Andriushchenko et al. 2020): random changes of square
	// windows, of which those that increase the margin loss are kept. It needs no
	// gradient.
	Square Method = "square"

	// Auto is PGD as configured, and then, as long as a row is not fooled, the members of
	// the standard version of AutoAttack (Croce and Hein 2020) except FAB: "apgd-ce",
	// APGD with CrossEntropy, one random start; "apgd-t", APGD with the targeted DLR loss,
	// one random start for each of the nine classes of the largest logits besides the
	// label's; and "square". Networks of less than four classes have no targeted DLR loss:
	// the margin x_t - x_y takes its place. A row that PGD fools is fooled by Auto.
	Auto Method = "auto"
)

// Loss is what the gradient is taken of. Attacks increase it.
type Loss string

// The losses of logits x, for a row with the label y. With a target class t, attacks
// make the row be classified as t instead of as anything else.
const (
	// CrossEntropy is -log softmax(x)[y]; with a target, log softmax(x)[t].
	CrossEntropy Loss = "ce"

	// DLR is the "difference of logits ratio" (Croce and Hein 2020), which does not depend
	// on the scale of the logits: the margin over x_(1) - x_(3), of which the indices are
	// ranks; with a target, x_t - x_y over x_(1) - (x_(3)+x_(4))/2. It needs three classes,
	// and four with a target.
	DLR Loss = "dlr"

	// Margin is the largest logit of another class than y, minus x_y; with a target,
	// x_t - x_y.
	Margin Loss = "margin"
)

// Keep says which of the images of a search is returned.
type Keep string

// What is kept. The zero Keep is First.
const (
	// First ends the attack of a row with the first image that fools the network. If
	// there is none, the image of the highest loss is returned.
	First Keep = "first"
	// Best, of PGD and APGD, goes through all steps, and returns the image of the highest loss among those
	// that fool the network, or among all if none does.
	Best Keep = "best"
	// Last, of PGD, goes through all steps, and returns the last image, as in textbooks and in
	// adversarial training. With restarts, the last images of each are compared as in
	// Best.
	Last Keep = "last"
)

// Config says how rows are attacked. Zero values stand for the defaults in parentheses.
type Config struct {
	Threat      Threat
	Method      Method  // (PGD)
	Loss        Loss    // of PGD and APGD (CrossEntropy)
	Steps       int     // of PGD: gradients per restart (20)
	StepSize    float64 // of PGD: length of a step, in the units and the norm of the threat (2.5 Eps/Steps)
	RandomStart bool    // PGD and APGD start at a random image of the ball instead of at the original
	Restarts    int     // of PGD and APGD: searches from different random starts (1)
	APGDSteps   int     // of APGD, also in Auto: steps per restart (100)
	Queries     int     // of Square, also in Auto: evaluations of a row after the first (5000)
	Targeted    bool    // make each row be classified as its Target
	Keep        Keep    // (First)
	Seed        uint64
}

// Resolved returns the config with the defaults in place of zero values, or an error that
// says what cannot be attacked with.
func (c Config) Resolved() (Config, error) {
	if err := c.Threat.check(); err != nil {
		return c, err
	}
	c.Method, c.Loss, c.Keep = or(c.Method, PGD), or(c.Loss, CrossEntropy), or(c.Keep, First)
	c.Steps, c.Restarts = or(c.Steps, 20), or(c.Restarts, 1)
	c.APGDSteps, c.Queries = or(c.APGDSteps, 100), or(c.Queries, 5000)
	c.StepSize = or(c.StepSize, 2.5*c.Threat.Eps/float64(c.Steps))
	switch {
	case !slices.Contains([]Method{PGD, APGD, Square, Auto}, c.Method):
		return c, fmt.Errorf("attack: method %q, expected pgd, apgd, square or auto", c.Method)
	case !slices.Contains([]Loss{CrossEntropy, DLR, Margin}, c.Loss):
		return c, fmt.Errorf("attack: loss %q, expected ce, dlr or margin", c.Loss)
	case c.Keep != First && c.Keep != Best && c.Keep != Last:
		return c, fmt.Errorf("attack: keep %q, expected first, best or last", c.Keep)
	case c.Keep == Last && c.Method != PGD || c.Keep == Best && c.Method != PGD && c.Method != APGD:
		return c, fmt.Errorf("attack: keep %q with the method %s, expected first", c.Keep, c.Method)
	case c.APGDSteps < 1 || c.Queries < 1:
		return c, fmt.Errorf("attack: %d steps of APGD and %d queries of Square, expected at least 1", c.APGDSteps, c.Queries)
	case c.Steps < 1 || c.Restarts < 1:
		return c, fmt.Errorf("attack: %d steps and %d restarts, expected at least 1", c.Steps, c.Restarts)
	case !(c.StepSize >= 0):
		return c, fmt.Errorf("attack: steps of length %v, expected a positive number", c.StepSize)
	case c.Restarts > 1 && !c.RandomStart:
		return c, fmt.Errorf("attack: %d restarts without a random start are all the same", c.Restarts)
	}
	return c, nil
}

// or returns v, or the default if v is zero.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// kinds is how many kinds of questions the attack asks.
func (c Config) kinds() int {
	switch c.Method {
	case Square:
		return 1
	case Auto:
		return 4 // the logits, the gradients of Loss, of CrossEntropy, and of the targeted DLR
	}
	return 2
}
