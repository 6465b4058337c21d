package cli

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/finetune/attack"
)

// Adversarial training of classifiers.

// adversarySettings are those that the weights of a run depend on.
type adversarySettings struct {
	Threat   string  `json:"threat"`
	Steps    int     `json:"steps"`
	StepSize float64 `json:"step_size"`
}

func adversarySettingsOf(c *attack.Config) *adversarySettings {
	if c == nil {
		return nil
	}
	return &adversarySettings{Threat: c.Threat.String(), Steps: c.Steps, StepSize: c.StepSize}
}

// validationSteps are the gradient steps of the attack on validation images. Each is
// 2.5 EPS / steps long, and they start at the image.
const validationSteps = 10

// chooseAttack reads the flags of adversarial training. The attack on training images
// starts at the image, and batch norms normalise by their running statistics meanwhile, as
// by default in MadryLab's robustness library. It takes the last image, where that library
// takes the one of the highest loss.
func (t *finetuning) chooseAttack() error {
	o := &t.o
	if o.Adversarial == "" {
		switch {
		case o.Metric == "robust":
			return &usageError{msg: "--metric is robust, and images are not attacked", hint: "--adversarial l2:0.5 attacks them"}
		case o.AttackStepSize != "" || o.AttackSteps != 0:
			return &usageError{msg: "--attack-steps and --attack-step-size go with --adversarial"}
		}
		return nil
	}
	threat, err := attack.ParseThreat(o.Adversarial)
	if err != nil || threat.Eps == 0 {
		return &usageError{msg: errors.Join(fmt.Errorf("--adversarial is %q, expected a norm and a radius above 0", o.Adversarial), err).Error(), hint: "l2:0.5 and linf:4/255 are"}
	}
	if o.AttackSteps < 0 || o.AttackSteps > 1000 {
		return &usageError{msg: fmt.Sprintf("--attack-steps is %d, expected 1 to 1000, or 0 for 3", o.AttackSteps)}
	}
	o.AttackSteps = cmp.Or(o.AttackSteps, 3)
	if t.mixup.Alpha > 0 {
		return &usageError{msg: "--mixup and --adversarial exclude each other: mixed images have no label to be attacked"}
	}
	train := attack.Config{Threat: threat, Steps: o.AttackSteps, StepSize: 2 * threat.Eps / float64(o.AttackSteps), Keep: attack.Last}
	if o.AttackStepSize != "" {
		if train.StepSize, err = fraction("attack-step-size", o.AttackStepSize, 1e-9, 1e6); err != nil {
			return err
		}
	}
	score, err := attack.Config{Threat: threat, Steps: validationSteps, Keep: attack.Last}.Resolved()
	if err != nil {
		return err
	}
	t.task.Adversary, t.task.Attack = &train, &score
	return nil
}
