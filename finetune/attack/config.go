package attack

import "fmt"

// Method is how images are searched for.
type Method string

// The methods. The zero Method is PGD.
const (
	// PGD is projected gradient descent (Madry et al. 2018): steps of a fixed size along
	// the sign of the gradient (Linf) or along the normalised gradient (L2), each
	// projected on the ball.
	PGD Method = "pgd"
)

// Loss is what the gradient is taken of. Attacks increase it.
type Loss string

// The losses of logits x, for a row with the label y. With a target class t, attacks
// make the row be classified as t instead of as anything else.
const (
	// CrossEntropy is -log softmax(x)[y]; with a target, log softmax(x)[t].
	CrossEntropy Loss = "ce"
)

// Keep says which of the images of a search is returned.
type Keep string

// What is kept. The zero Keep is First.
const (
	// First ends the attack of a row with the first image that fools the network. If
	// there is none, the image of the highest loss is returned.
	First Keep = "first"
	// Best goes through all steps, and returns the image of the highest loss among those
	// that fool the network, or among all if none does.
	Best Keep = "best"
	// Last goes through all steps, and returns the last image, as in textbooks and in
	// adversarial training. With restarts, the last images of each are compared as in
	// Best.
	Last Keep = "last"
)

// Config says how rows are attacked. Zero values stand for the defaults in parentheses.
type Config struct {
	Threat      Threat
	Method      Method  // (PGD)
	Loss        Loss    // (CrossEntropy)
	Steps       int     // gradients per restart (20)
	StepSize    float64 // length of a step, in the units and the norm of the threat (2.5 Eps/Steps)
	RandomStart bool    // start at a random image of the ball instead of at the original
	Restarts    int     // searches from different random starts (1)
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
	c.StepSize = or(c.StepSize, 2.5*c.Threat.Eps/float64(c.Steps))
	switch {
	case c.Method != PGD:
		return c, fmt.Errorf("attack: method %q, expected pgd", c.Method)
	case c.Loss != CrossEntropy:
		return c, fmt.Errorf("attack: loss %q, expected ce", c.Loss)
	case c.Keep != First && c.Keep != Best && c.Keep != Last:
		return c, fmt.Errorf("attack: keep %q, expected first, best or last", c.Keep)
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
