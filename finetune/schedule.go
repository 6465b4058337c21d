package finetune

import "math"

// Length is how long a run is, in steps.
type Length struct {
	Steps int `json:"steps"` // in all
	Epoch int `json:"epoch"` // of one epoch
}

// Schedule says what a learning rate is multiplied by in a step, counted from 0
// on: a pure function, so that a run can be continued anywhere.
type Schedule interface {
	Factor(step int, l Length) float64
}

// Constant is 1.
type Constant struct{}

// Factor is 1.
func (Constant) Factor(int, Length) float64 { return 1 }

// StepDecay is Gamma^(epoch / Every), rounded down: torch's StepLR, stepped each
// epoch.
type StepDecay struct {
	Every int     // epochs; 0: 50
	Gamma float64 // 0: 0.1
}

// Factor is Gamma^floor(epoch/Every).
func (s StepDecay) Factor(step int, l Length) float64 {
	return math.Pow(or(s.Gamma, .1), float64(step/max(l.Epoch, 1)/or(s.Every, 50)))
}

// Cosine is (1 + cos(pi t/T)) / 2 in step t of T: torch's CosineAnnealingLR down
// to 0, stepped each step.
type Cosine struct{}

// Factor is (1 + cos(pi t/T)) / 2.
func (Cosine) Factor(step int, l Length) float64 { return cosine(1, 0, float64(step)/float64(l.Steps)) }

// OneCycle is Smith's 1cycle as torch's OneCycleLR has it, with
// cycle_momentum=False: from 1/Start up to 1 over the share Rise of the steps,
// and down to 1/(Start Final) over the rest, both along cosines.
type OneCycle struct {
	Rise  float64 // pct_start; 0: 0.3
	Start float64 // div_factor; 0: 25
	Final float64 // final_div_factor; 0: 1e4
}

// Factor follows the two phases, which end at the steps Rise T - 1 and T - 1.
func (o OneCycle) Factor(step int, l Length) float64 {
	start := 1 / or(o.Start, 25)
	top := or(o.Rise, .3)*float64(l.Steps) - 1
	t := float64(step)
	if t <= top && top > 0 {
		return cosine(start, 1, t/top)
	}
	down := float64(l.Steps-1) - top
	if down <= 0 {
		return 1
	}
	return cosine(1, start/or(o.Final, 1e4), min((t-top)/down, 1))
}

// Warmup rises along a line to what Then begins with, and leaves it the other
// steps: the factor is (step+1) / Steps in the first Steps.
type Warmup struct {
	Steps int
	Then  Schedule
}

// Factor is (step+1) / Steps before Then's.
func (w Warmup) Factor(step int, l Length) float64 {
	rest := Length{Steps: max(l.Steps-w.Steps, 1), Epoch: l.Epoch}
	if step >= w.Steps {
		return w.Then.Factor(step-w.Steps, rest)
	}
	return float64(step+1) / float64(w.Steps) * w.Then.Factor(0, rest)
}

// cosine goes from a to b as t goes from 0 to 1.
func cosine(a, b, t float64) float64 { return b + (a-b)/2*(1+math.Cos(math.Pi*t)) }

// or is the default of a field of value 0.
func or[T int | float64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
