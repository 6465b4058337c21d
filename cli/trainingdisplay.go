package cli

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/augment"
	"github.com/robust-transfer/rtx/finetune/classify"
)

// trainingDisplay shows what the trainings of a run report.
type trainingDisplay struct {
	*finetuning
	trial    *finetune.Trial // that is under way
	steps    stepsDisplay
	features *progress // of those that are computed once
	log      *eventLog // nil: none
}

// stepsDisplay shows the steps of a training.
type stepsDisplay struct {
	*env
	decimals int    // of the images per second
	label    string // in front of the epoch, such as which training it is
	bar      *progress
	told     bool // the time that is left
}

func (d *stepsDisplay) begin() {
	d.bar = newProgress(d.env)
	d.bar.noun = "steps"
}

func (d *stepsDisplay) stepped(e finetune.Event) {
	if !d.told && e.Left > 0 {
		d.told = true
		d.note("about %s to go", roundTime(e.Left))
	}
	d.bar.about = fmt.Sprintf("%sepoch %d, loss %.4f, %.*f images/s", d.label, e.Epoch, e.Loss, d.decimals, e.ImagesPerSecond)
	d.bar.figures = object{{"epoch", e.Epoch}, {"loss", e.Loss}, {"lr", e.LearningRate}, {"images_per_second", e.ImagesPerSecond}}
	d.bar.update(e.Step, max(e.Plan.Steps, e.Step))
}

func (d *stepsDisplay) end() {
	if d.bar != nil {
		d.bar.end()
	}
}

// event shows what training reports.
func (d *trainingDisplay) event(one *finetune.Trial, e finetune.Event) error {
	if d.trial != one {
		*d = trainingDisplay{finetuning: d.finetuning, log: d.log, trial: one, steps: stepsDisplay{env: d.env}}
	}
	if d.log != nil {
		if err := d.log.event(one, e); err != nil {
			return err
		}
	}
	switch e.Kind {
	case finetune.Started:
		return d.started(e)
	case finetune.Cached:
		d.cached(e.Rows)
	case finetune.Fitted:
		d.note("%d steps fit into %s", e.Plan.Steps, d.recipe.MaxTime)
	case finetune.Stepped:
		d.steps.stepped(e)
	case finetune.Evaluated:
		if s := e.Score; s.N > 0 {
			line := fmt.Sprintf("epoch %d: %s loss %.4f, top-1 %.2f %%, mean per class %.2f %%", s.Epoch, e.Split, s.Loss,
				100*s.Figure(classify.Top1), 100*s.Figure(classify.MeanPerClass))
			if robust := s.Figure(classify.Robust); !math.IsNaN(robust) {
				line += fmt.Sprintf(", %.2f %% under attack", 100*robust)
			}
			d.note("%s", line)
		}
	case finetune.Ended:
		d.steps.end()
	}
	return nil
}

// started tells the plan, and refuses it where memory is not there.
func (d *trainingDisplay) started(e finetune.Event) error {
	p := e.Plan
	if err := fitsMemory(p, d.recipe.BatchSize, 2, "a smaller network, or --mode fixed"); err != nil {
		return err
	}
	d.note("%s%d images to train on, %d to validate on; %d steps of %d, %s; %s parameters; about %s of memory for a step",
		trainingName(d.trial), p.Rows, p.Validation, p.Steps, d.recipe.BatchSize, counted(p.Epochs, "epoch"), countText(p.Parameters), bytesText(p.Memory))
	if p.LeftOut > 0 {
		d.warn("an epoch leaves out its last image: batch norms cannot adapt to a batch of one")
	}
	d.steps.begin()
	if e.Lines > 0 {
		d.note("going on after step %d", e.Step)
	}
	return nil
}

// trainingName tells a training from the run's others, in front of what is said
// of it.
func trainingName(t *finetune.Trial) string {
	if t.Dir == "" {
		return ""
	}
	return fmt.Sprintf("seed %d, learning rate %g: ", t.Seed, t.LearningRate)
}

// cached shows how many features of all are computed.
func (d *trainingDisplay) cached(done int) {
	total := 0
	for _, s := range []augment.Split{augment.Training, augment.Validation, augment.Test} {
		total += d.data.Rows(s)
	}
	if d.features == nil {
		d.note("features of %d images are computed once: nothing in front of the head changes", total)
		d.features = newProgress(d.env)
	}
	if d.features.update(done, total); done == total {
		d.features.end()
	}
}
