package finetune

import "math"

// Length is the length of a training in steps.
type Length struct {
	Steps int `json:"steps"` // in total
	Epoch int `json:"epoch"` // in an epoch
}

// Schedule returns the factor of the learning rate in a step, counted from 0. It is a
// pure function, so that training can continue from any step.
type Schedule interface {
	Factor(step int, l Length) float64
}

// Constant is a constant learning rate.
type Constant struct{}

// Factor is 1.
func (Constant) Factor(int, Length) float64 { return 1 }

// StepDecay multiplies the learning rate by Gamma after every Every epochs, as
// torch's StepLR stepped once per epoch.
type StepDecay struct {
	Every int     // epochs; 0: 50
	Gamma float64 // 0: 0.1
}

// Factor is Gamma^floor(epoch/Every).
func (s StepDecay) Factor(step int, l Length) float64 {
	return math.Pow(orDefault(s.Gamma, .1), float64(step/max(l.Epoch, 1)/orDefault(s.Every, 50)))
}

// MultiStep multiplies the learning rate by Gamma at each of several points of the
// training, as torch's MultiStepLR. The points are shares of all steps, so that they
// move with the length of a training that Config.MaxTime shortens: 16/26 of 26 epochs is
// the end of the 16th.
type MultiStep struct {
	At    []float64 // shares of the steps, in (0,1)
	Gamma float64   // 0: 0.1
}

// Factor is Gamma^n behind n of the points.
func (m MultiStep) Factor(step int, l Length) float64 {
	n := 0
	for _, at := range m.At {
		if step >= int(math.Round(at*float64(l.Steps))) {
			n++
		}
	}
	return math.Pow(orDefault(m.Gamma, .1), float64(n))
}

// Ramp multiplies the factors of Then by one that rises linearly from Start to 1 over
// the first Steps steps, but over a quarter of the training at most. It is torch's
// LinearLR beside another scheduler: unlike Warmup, it does not shift what follows.
type Ramp struct {
	Steps int
	Start float64 // 0: 0.001
	Then  Schedule
}

// Factor is Then's, times Start + (1-Start) step/Steps in the first steps.
func (r Ramp) Factor(step int, l Length) float64 {
	factor, rising := r.Then.Factor(step, l), min(r.Steps, l.Steps/4)
	if step >= rising {
		return factor
	}
	start := orDefault(r.Start, .001)
	return factor * (start + (1-start)*float64(step)/float64(rising))
}

// Cosine lowers the learning rate to 0 along a cosine, (1 + cos(pi t/T)) / 2 in step
// t of T, as torch's CosineAnnealingLR stepped in every step.
type Cosine struct{}

// Factor is (1 + cos(pi t/T)) / 2.
func (Cosine) Factor(step int, l Length) float64 { return cosine(1, 0, float64(step)/float64(l.Steps)) }

// OneCycle is Smith's 1cycle policy as torch's OneCycleLR with cycle_momentum=False:
// up from 1/Start to 1 over the fraction Rise of the steps, and down to
// 1/(Start Final) over the rest, both along cosines.
type OneCycle struct {
	Rise  float64 // pct_start; 0: 0.3
	Start float64 // div_factor; 0: 25
	Final float64 // final_div_factor; 0: 1e4
}

// Factor follows the two phases, which end at the steps Rise T - 1 and T - 1.
func (o OneCycle) Factor(step int, l Length) float64 {
	start := 1 / orDefault(o.Start, 25)
	top := orDefault(o.Rise, .3)*float64(l.Steps) - 1
	t := float64(step)
	if t <= top && top > 0 {
		return cosine(start, 1, t/top)
	}
	down := float64(l.Steps-1) - top
	if down <= 0 {
		return 1
	}
	return cosine(1, start/orDefault(o.Final, 1e4), min((t-top)/down, 1))
}

// Warmup raises the learning rate linearly to the first value of Then, by factors
// (step+1) / Steps, and then follows Then over the remaining steps.
type Warmup struct {
	Steps int
	Then  Schedule
}

// Factor is (step+1) / Steps times Then's first factor, and then Then's.
func (w Warmup) Factor(step int, l Length) float64 {
	rest := Length{Steps: max(l.Steps-w.Steps, 1), Epoch: l.Epoch}
	if step >= w.Steps {
		return w.Then.Factor(step-w.Steps, rest)
	}
	return float64(step+1) / float64(w.Steps) * w.Then.Factor(0, rest)
}

// completeSchedule returns a schedule with the values of settings that are left to
// their defaults; Cosine for nil.
func completeSchedule(s Schedule) Schedule {
	switch s := s.(type) {
	case nil:
		return Cosine{}
	case StepDecay:
		return StepDecay{Every: orDefault(s.Every, 50), Gamma: orDefault(s.Gamma, .1)}
	case MultiStep:
		return MultiStep{At: s.At, Gamma: orDefault(s.Gamma, .1)}
	case Ramp:
		return Ramp{Steps: s.Steps, Start: orDefault(s.Start, .001), Then: completeSchedule(s.Then)}
	case OneCycle:
		return OneCycle{Rise: orDefault(s.Rise, .3), Start: orDefault(s.Start, 25), Final: orDefault(s.Final, 1e4)}
	}
	return s
}

// cosine goes from a to b as t goes from 0 to 1.
func cosine(a, b, t float64) float64 { return b + (a-b)/2*(1+math.Cos(math.Pi*t)) }

// orDefault returns v, or the default if v is 0.
func orDefault[T int | float64](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
