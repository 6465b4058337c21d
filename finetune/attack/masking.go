package attack

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
)

// Masking is what tells whether the gradients of a network lead anywhere. Where they do
// not, attacks by gradients fail, and a network looks more robust than it is ("Obfuscated
// Gradients Give a False Sense of Security", Athalye et al. 2018). All attacks have the
// same rows.
type Masking struct {
	PGD     Summary // the attack in question
	OneStep Summary // a single step of length Eps from the original
	Huge    Summary // PGD within a radius in which every image of [0,1] lies
	Square  Summary // the Square attack of few queries
}

// squareQueries is how many queries Masking spends on a row.
const squareQueries = 500

// Masking attacks rows by PGD with a config, and by the attacks that results are compared
// with. It takes several times as long as PGD; a few hundred rows are enough.
func (a *Attacker) Masking(ctx context.Context, rows []Row, c Config) (m Masking, err error) {
	c.Method, c.Keep = PGD, First
	one := Config{Threat: c.Threat, Loss: c.Loss, Targeted: c.Targeted, Steps: 1, StepSize: c.Threat.Eps}
	huge := c
	huge.StepSize, huge.Threat.Eps = 0, 1
	if c.Threat.Norm == L2 {
		huge.Threat.Eps = math.Sqrt(float64(a.planes * a.size[0] * a.size[1]))
	}
	square := Config{Threat: c.Threat, Method: Square, Queries: squareQueries, Targeted: c.Targeted, Seed: c.Seed}
	for _, run := range []struct {
		of *Summary
		Config
	}{{&m.PGD, c}, {&m.OneStep, one}, {&m.Huge, huge}, {&m.Square, square}} {
		for o, err := range a.Attack(ctx, all(rows), run.Config) {
			if err != nil {
				return m, err
			}
			run.of.Add(o)
		}
	}
	return m, nil
}

// all yields rows.
func all(rows []Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		slices.Values(rows)(func(r Row) bool { return yield(r, nil) })
	}
}

// Signal is a sign of masked gradients.
type Signal string

// The signals.
const (
	HugeRadius    Signal = "huge-radius"    // some rows withstand even PGD that may change everything
	OneStepBetter Signal = "one-step"       // a single step fools more rows than many
	SquareBetter  Signal = "square"         // random changes fool more rows than gradients
	ZeroGradients Signal = "zero-gradients" // more than one gradient in a hundred is 0
)

// Signals returns the signals that show, in the order of the constants; none is a good
// sign, but no proof.
func (m Masking) Signals() (found []Signal) {
	for _, s := range []struct {
		Signal
		shows bool
	}{
		{HugeRadius, m.Huge.Robust > 0},
		{OneStepBetter, m.OneStep.Robust < m.PGD.Robust},
		{SquareBetter, m.Square.Robust < m.PGD.Robust},
		{ZeroGradients, 100*m.PGD.Zero > m.PGD.Gradients},
	} {
		if s.shows {
			found = append(found, s.Signal)
		}
	}
	return found
}

// Describe says in a sentence what a signal rests on.
func (m Masking) Describe(s Signal) string {
	n := m.PGD.Rows
	switch s {
	case HugeRadius:
		return fmt.Sprintf("%d of %d images withstand PGD even where it may change every value to any other; none should", m.Huge.Robust, n)
	case OneStepBetter:
		return fmt.Sprintf("a single step leaves %d of %d images right, and PGD %d; more steps should leave fewer", m.OneStep.Robust, n, m.PGD.Robust)
	case SquareBetter:
		return fmt.Sprintf("the Square attack, which uses no gradient, leaves %d of %d images right in %d queries, and PGD %d", m.Square.Robust, n, squareQueries, m.PGD.Robust)
	case ZeroGradients:
		return fmt.Sprintf("%d of %d gradients are 0, and lead nowhere", m.PGD.Zero, m.PGD.Gradients)
	}
	return string(s)
}
