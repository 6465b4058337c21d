package cli

import (
	"fmt"

	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/metrics"
)

// robustness is what an attack came to. Shares are of all evaluated images.
type robustness struct {
	Threat             string         `json:"threat"`
	Norm               string         `json:"norm"`
	Eps                float64        `json:"eps"`
	Method             string         `json:"method"`
	Settings           attackSettings `json:"settings"`
	N                  int            `json:"n"`
	CleanTop1          share          `json:"clean_top1"`
	RobustTop1         share          `json:"robust_top1"`
	RobustMeanPerClass share          `json:"robust_mean_per_class"`
	Spread             attackSpread   `json:"spread"` // of robust_top1 over bootstrap samples of the images
	By                 map[string]int `json:"by"`     // images that each member of the attack found a wrong class for
	Gradients          int            `json:"gradients"`
	ZeroGradients      int            `json:"zero_gradients"` // of them, those of which all values are 0
	Forwards           int            `json:"forwards"`
	PerClass           []robustClass  `json:"per_class"`
	Check              *attackCheck   `json:"check,omitempty"`
}

type attackSpread struct {
	SD   share `json:"sd"`
	Low  share `json:"low"`
	High share `json:"high"`
}

type robustClass struct {
	Label  string `json:"label"`
	N      int    `json:"n"`
	Clean  int    `json:"clean"`
	Robust int    `json:"robust"`
}

// attackCheck is robust accuracy on the first images by other attacks.
type attackCheck struct {
	N       int    `json:"n"`
	Robust  share  `json:"robust_top1"`   // of the attack that is checked
	OneStep share  `json:"one_step_top1"` // a single step as long as the radius
	Vast    share  `json:"vast_top1"`     // within a radius of which every image can become grey
	Within  string `json:"vast_threat"`
	Square  share  `json:"square_top1"` // a search without gradients
}

// robustness puts the figures of all attacks together.
func (v *evaluating) robustness() (all []robustness, err error) {
	if v.attack == nil {
		return nil, nil
	}
	names := v.logitNames(v.listing.Classes, v.indices)
	for i, r := range v.attack.runs {
		if r.kind != asked {
			continue
		}
		one := robustness{
			Threat: r.config.Threat.String(), Norm: string(r.config.Threat.Norm), Eps: r.config.Threat.Eps, Method: string(r.config.Method),
			Settings: attackSettingsOf(r.config), N: len(v.attack.rows), By: map[string]int{}, PerClass: []robustClass{},
		}
		classes := make([]robustClass, len(names))
		labels, right := make([]int, one.N), make([]float64, one.N)
		clean, robust := 0, 0
		for k, s := range v.attack.rows {
			o := r.outcomes[s.Path]
			labels[k] = v.indices[s.Label]
			c := &classes[labels[k]]
			c.N++
			if o.Clean {
				c.Clean, clean = c.Clean+1, clean+1
			}
			if o.Robust {
				right[k], c.Robust, robust = 1, c.Robust+1, robust+1
			} else if o.By != "" {
				one.By[o.By]++
			}
			one.Gradients, one.ZeroGradients, one.Forwards = one.Gradients+o.Gradients, one.ZeroGradients+o.Zero, one.Forwards+o.Forwards
		}
		one.CleanTop1, one.RobustTop1 = shareOf(clean, one.N), shareOf(robust, one.N)
		mean, present := 0.0, 0
		for k, c := range classes {
			if c.N > 0 {
				c.Label = names[k]
				one.PerClass = append(one.PerClass, c)
				mean, present = mean+float64(c.Robust)/float64(c.N), present+1
			}
		}
		one.RobustMeanPerClass = share(mean / float64(present))
		spread, _, err := metrics.Bootstrap(labels, right, metrics.BootstrapConfig{})
		if err != nil {
			return nil, err
		}
		one.Spread = attackSpread{share(spread.SD), share(spread.Low), share(spread.High)}
		one.Check = v.attack.checkOf(i)
		all = append(all, one)
	}
	return all, nil
}

func shareOf(n, of int) share { return share(float64(n) / float64(of)) }

// checkOf is the check of a run; nil where it has none.
func (a *evalAttack) checkOf(run int) *attackCheck {
	var c *attackCheck
	for _, r := range a.runs {
		if r.kind == asked || r.of != run {
			continue
		}
		if c == nil {
			c = &attackCheck{N: min(r.most, len(a.rows))}
			c.Robust = a.robustOf(a.runs[run], c.N)
		}
		got := a.robustOf(r, c.N)
		switch r.kind {
		case oneStep:
			c.OneStep = got
		case vast:
			c.Vast, c.Within = got, r.config.Threat.String()
		case unguided:
			c.Square = got
		}
	}
	return c
}

// robustOf is the robust accuracy on the first n images.
func (a *evalAttack) robustOf(r attackRun, n int) share {
	robust := 0
	for _, s := range a.rows[:n] {
		if r.outcomes[s.Path].Robust {
			robust++
		}
	}
	return shareOf(robust, n)
}

// tellAttacks warns where results smell of masked gradients.
func (v *evaluating) tellAttacks(all []robustness) {
	for _, r := range all {
		if r.Gradients > 0 && 10*r.ZeroGradients >= r.Gradients {
			v.warn("%s: %d of %d gradients are 0 everywhere, and the attack cannot follow those: robust accuracy is only an upper bound", r.Threat, r.ZeroGradients, r.Gradients)
		}
		if r.Check == nil {
			continue
		}
		c := r.Check
		const signs = ", which is a sign of masked gradients: robust accuracy under this attack says little"
		if c.Vast > .01 {
			v.warn("%s: even within %s, where every image can become grey, %s of the first %d images resist%s", r.Threat, c.Within, c.Vast.percent(), c.N, signs)
		}
		if c.OneStep < c.Robust {
			v.warn("%s: a single step leaves %s of the first %d images right, and many steps %s%s", r.Threat, c.OneStep.percent(), c.N, c.Robust.percent(), signs)
		}
		if c.Square < c.Robust {
			v.warn("%s: a search without gradients leaves %s of the first %d images right, and one with gradients %s%s", r.Threat, c.Square.percent(), c.N, c.Robust.percent(), signs)
		}
	}
}

// byNorm are attacks of a norm, by radius.
func byNorm(all []robustness) [][]robustness {
	var out [][]robustness
	for _, norm := range []attack.Norm{attack.L2, attack.Linf} {
		var some []robustness
		for _, r := range all {
			if r.Norm == string(norm) {
				some = append(some, r)
			}
		}
		if len(some) > 0 {
			out = append(out, some)
		}
	}
	return out
}

// attackTitle is that of the drawing.
func attackTitle(all []robustness) string {
	return fmt.Sprintf("Robust accuracy (%s)", all[0].Method)
}
