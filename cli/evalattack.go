package cli

import (
	"fmt"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/finetune/attack"
)

// An evaluation under attack: flags, and what they come to.

const attackDescription = "--attack also measures robust accuracy: the share of the images that are classified right,\n" +
	"and for which a search finds no image within the radius that is classified wrong. Radii are\n" +
	"those of [0,1] pixels after resizing and cropping. --attack l2:0.25,0.5,1 gives a curve. The\n" +
	"method pgd goes along gradients of the cross-entropy in steps of 2.5 radii / steps, from the\n" +
	"image itself, or from random ones where there are several restarts. The method auto is pgd and\n" +
	"then AutoAttack's standard version without FAB: apgd, apgd for target classes, and square; it\n" +
	"takes a hundred times as long for images that resist. A search ends with the\n" +
	"first image that is classified wrong. Robust accuracy is an upper bound: a stronger search may\n" +
	"find more. OUT gets robust.csv, robust.svg and outcomes.csv, a line for each image; here, too,\n" +
	"the same command goes on with an unfinished OUT."

func attackFlags() []cli.Flag {
	return []cli.Flag{
		text("attack", "", "attack the images within `NORM:EPS`, in [0,1] pixel units: l2:0.5, linf:4/255, or several, such as l2:0.25,0.5"),
		text("attack-method", "", "`HOW` images near the given ones are searched for: pgd, apgd (Auto-PGD), square (no gradients), or auto, all of them in turn (default: pgd)"),
		number("steps", 0, "gradients that a search takes; 0: 20 of pgd and 100 of apgd"),
		number("restarts", 0, "searches of pgd and apgd for each image, from random starts; 0: a single one"),
		toggle("attack-check", "attack some images in other ways, too, and warn where that shows masked gradients"),
		text("engine", "", "what computes under attack: ort (onnxruntime) or tape (pure Go) (default: ort where it is found)"),
	}
}

// attackOptions are those of an evaluation under attack.
type attackOptions struct {
	Attack   string `flag:"attack"`
	Method   string `flag:"attack-method"`
	Steps    int    `flag:"steps"`
	Restarts int    `flag:"restarts"`
	Check    bool   `flag:"attack-check"`
	Engine   string `flag:"engine"`
}

// checkAttack looks at the options alone.
func (o *evalOptions) checkAttack() error {
	if o.Attack == "" {
		for flag, given := range map[string]bool{"attack-method": o.Method != "", "steps": o.Steps != 0, "restarts": o.Restarts != 0, "attack-check": o.Check, "engine": o.Engine != ""} {
			if given {
				return &usageError{msg: "--" + flag + " goes with --attack, which is missing", hint: "--attack l2:0.5"}
			}
		}
		return nil
	}
	switch {
	case o.Predictions != "":
		return &usageError{msg: "--attack needs a model, and --predictions judges detections without one", hint: "-m MODEL"}
	case o.Method == string(attack.Square) && (o.Steps != 0 || o.Restarts != 0):
		return &usageError{msg: "--steps and --restarts go with gradients, which --attack-method square does without", hint: "leave them out"}
	case o.Method == string(attack.Square) && o.Check:
		return &usageError{msg: "--attack-check looks for masked gradients, which --attack-method square does not use", hint: "leave one of them out"}
	case o.Corrupt != "":
		return &usageError{msg: "--attack and --corrupt are given", hint: "evaluate under one of them at a time"}
	case o.Precision != "fp32":
		return &usageError{msg: fmt.Sprintf("--precision is %s, and gradients of --attack are computed in fp32", o.Precision), hint: "leave it out"}
	case o.Steps < 0 || o.Restarts < 0:
		return &usageError{msg: fmt.Sprintf("--steps %d --restarts %d, expected no negative number", o.Steps, o.Restarts)}
	}
	if o.Engine != "" {
		if err := oneOf("engine", o.Engine, "ort", "tape"); err != nil {
			return err
		}
	}
	_, err := o.attacks()
	return err
}

// attacks are the attacks that --attack asks for, in its order, with all their settings.
func (o *attackOptions) attacks() (configs []attack.Config, err error) {
	norm, seen := "", map[attack.Threat]bool{}
	for _, text := range strings.Split(o.Attack, ",") {
		text = strings.TrimSpace(text)
		if name, _, named := strings.Cut(text, ":"); named {
			norm = name
		} else if norm != "" {
			text = norm + ":" + text
		}
		threat, err := parseThreat(text)
		if err != nil {
			return nil, err
		}
		if threat.Eps == 0 || seen[threat] {
			return nil, &usageError{msg: fmt.Sprintf("--attack is %q, expected different radii above 0", o.Attack), hint: "accuracy without an attack is told anyway"}
		}
		seen[threat] = true
		c, err := attack.Config{Threat: threat, Method: attack.Method(o.Method), Steps: o.Steps, APGDSteps: o.Steps, Restarts: o.Restarts, RandomStart: o.Restarts > 1}.Resolved()
		if err != nil {
			return nil, &usageError{msg: strings.TrimPrefix(err.Error(), "attack: "), hint: "rtx eval --help tells the methods and their settings"}
		}
		configs = append(configs, c)
	}
	return configs, nil
}

// attackSettings are what the outcomes of an attack depend on, beside the network and
// the images.
type attackSettings struct {
	Threat      string  `json:"threat"`
	Method      string  `json:"method"`
	Loss        string  `json:"loss"`
	Steps       int     `json:"steps,omitempty"`
	StepSize    float64 `json:"step_size,omitempty"`
	APGDSteps   int     `json:"apgd_steps,omitempty"`
	RandomStart bool    `json:"random_start"`
	Restarts    int     `json:"restarts"`
	Queries     int     `json:"queries,omitempty"`
	Seed        uint64  `json:"seed"`
}

func attackSettingsOf(c attack.Config) attackSettings {
	s := attackSettings{Threat: c.Threat.String(), Method: string(c.Method), Loss: string(c.Loss), RandomStart: c.RandomStart, Restarts: c.Restarts, Seed: c.Seed}
	if c.Method == attack.PGD || c.Method == attack.Auto {
		s.Steps, s.StepSize = c.Steps, c.StepSize
	}
	if c.Method == attack.APGD || c.Method == attack.Auto {
		s.APGDSteps = c.APGDSteps
	}
	if c.Method == attack.Square || c.Method == attack.Auto {
		s.Queries = c.Queries
	}
	return s
}

// text is for people: "pgd, 20 steps of 0.0625".
func (s attackSettings) text() string {
	out := s.Method
	if s.Steps > 0 {
		out += fmt.Sprintf(", %d steps of %.4g", s.Steps, s.StepSize)
	}
	if s.APGDSteps > 0 {
		out += fmt.Sprintf(", %d adaptive steps", s.APGDSteps)
	}
	if s.Queries > 0 {
		out += fmt.Sprintf(", %d queries", s.Queries)
	}
	if s.RandomStart {
		out += fmt.Sprintf(", %d random starts", s.Restarts)
	}
	return out
}

// evalAttackSettings are those of all attacks of an evaluation.
type evalAttackSettings struct {
	Engine  string           `json:"engine"`
	Attacks []attackSettings `json:"attacks"`
	Check   bool             `json:"check"`
}

// settings are nil where nothing is attacked.
func (a *evalAttack) settings() *evalAttackSettings {
	if a == nil {
		return nil
	}
	s := &evalAttackSettings{Engine: a.engine, Check: a.check}
	for _, r := range a.runs {
		if r.kind == asked {
			s.Attacks = append(s.Attacks, attackSettingsOf(r.config))
		}
	}
	return s
}
