package cli

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// leastAdapting is the number of images in a step from which on batch norms may adapt to
// them. Detectors are trained with a few large images in a step, whose statistics are
// worse than those of the backbone.
const leastAdapting = 8

// sizeMultiple is what the sides of the network's input are multiples of.
const sizeMultiple = 32

// check looks at the options alone.
func (t *detectorTraining) check(context.Context) error {
	o := &t.o
	if err := required(detectTrainUsage, "model", o.Model, "data", o.Data, "out", o.Out); err != nil {
		return err
	}
	if o.Data == "-" {
		return &usageError{msg: "--data is -, and objects cannot be read from standard input", hint: "name a folder, an archive or a file of annotations"}
	}
	for _, v := range []struct {
		flag, value string
		may         []string
	}{
		{"recipe", o.Recipe, train.RecipeNames}, {"kind", o.Kind, []string{"auto", arch.FasterRCNN, arch.MaskRCNN, arch.RetinaNet}},
		{"masks", o.Masks, []string{"auto", "on", "off"}}, {"bn", o.BN, []string{"fixed", "frozen", "adapt", "adapt-small"}},
		{"engine", o.Engine, []string{"auto", "ort", "tape"}}, {"metric", o.Metric, []string{"bbox", "segm"}},
		{"empty", o.Empty, []string{"drop", "keep"}}, {"optimizer", cmp.Or(o.Optimizer, "sgd"), []string{"sgd", "adamw"}},
		{"schedule", cmp.Or(o.Schedule, "cosine"), []string{"cosine", "step", "onecycle", "constant"}},
	} {
		if err := oneOf(v.flag, v.value, v.may...); err != nil {
			return err
		}
	}
	for _, check := range []func() error{o.checkNumbers, t.checkSizes, t.checkKinds, t.checkDevice} {
		if err := check(); err != nil {
			return err
		}
	}
	var err error
	if t.heldOut, err = fraction("val-fraction", o.ValFraction, 0, .9); err != nil {
		return err
	}
	if err := t.settings(1); err != nil { // the recipe again once the number of images is known
		return err
	}
	t.batch = t.recipe.BatchSize
	return t.checkBatchNorms()
}

// checkNumbers wants whole numbers in their ranges.
func (o *detectTrainOptions) checkNumbers() error {
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"size", o.Size, 0, 1 << 13}, {"min-size", o.MinSize, 0, 1 << 13}, {"max-size", o.MaxSize, 0, 1 << 13},
		{"train-stages", o.TrainStages, 0, 100}, {"epochs", o.Epochs, 0, 1 << 20}, {"batch-size", o.BatchSize, 0, 1024}, {"patience", o.Patience, -1, 1 << 20},
		{"seed", o.Seed, 0, 1 << 30}, {"seeds", o.Seeds, 1, 1000}, {"workers", o.Workers, 0, 1 << 14}, {"threads", o.Threads, 0, 1 << 14},
	} {
		if n.value < n.least || n.value > n.most {
			return &usageError{msg: fmt.Sprintf("--%s is %d, expected %d to %d", n.name, n.value, n.least, n.most)}
		}
	}
	return nil
}

// checkSizes looks at the sizes of images. A square whose side is no multiple of 32 gets
// the next one.
func (t *detectorTraining) checkSizes() error {
	o := &t.o
	const least = 2 * sizeMultiple
	switch {
	case o.Size > 0 && (o.MinSize > 0 || o.MaxSize > 0):
		return &usageError{msg: "--size goes without --min-size and --max-size", hint: "--size makes squares of all images; --min-size keeps their shapes"}
	case o.MaxSize > 0 && o.MinSize == 0:
		return &usageError{msg: "--max-size goes with --min-size", hint: "--size N scales images to fit into NxN pixels"}
	case o.MaxSize > 0 && o.MaxSize < o.MinSize:
		return &usageError{msg: fmt.Sprintf("--max-size is %d and --min-size %d, expected the larger one of the longer side", o.MaxSize, o.MinSize)}
	case o.Size > 0 && o.Size < least || o.MinSize > 0 && o.MinSize < least:
		return &usageError{msg: fmt.Sprintf("images of %d pixels are too small to find objects in, expected %d at least", max(o.Size, o.MinSize), least)}
	}
	if up := (o.Size + sizeMultiple - 1) / sizeMultiple * sizeMultiple; up != o.Size {
		t.warn("--size is %d, which is no multiple of %d; images are scaled to fit into %dx%d pixels", o.Size, sizeMultiple, up, up)
		o.Size = up
	}
	return nil
}

// checkKinds refuses kinds of detectors that contradict what is said of masks.
func (t *detectorTraining) checkKinds() error {
	o := &t.o
	switch {
	case o.Masks == "on" && (o.Kind == arch.FasterRCNN || o.Kind == arch.RetinaNet):
		return &usageError{msg: fmt.Sprintf("--masks is on, and a %s has no masks", o.Kind), hint: "--kind maskrcnn learns them"}
	case o.Masks == "off" && o.Kind == arch.MaskRCNN:
		return &usageError{msg: "--masks is off, and --kind maskrcnn learns masks", hint: "--kind fasterrcnn learns boxes alone"}
	case o.Metric == "segm" && (o.Masks == "off" || o.Kind == arch.FasterRCNN || o.Kind == arch.RetinaNet):
		return &usageError{msg: "--metric segm is of masks, which are not learned", hint: "--metric bbox"}
	}
	return nil
}

// checkBatchNorms refuses batch norms that adapt to a few images.
func (t *detectorTraining) checkBatchNorms() error {
	n := t.recipe.BatchSize
	switch {
	case t.o.BN == "adapt" && n < leastAdapting:
		return &usageError{
			msg:  fmt.Sprintf("--bn adapt with %d images in a step: statistics of so few make detectors worse than those of the backbone", n),
			hint: fmt.Sprintf("--bn fixed, or --batch-size %d, or --bn adapt-small if it is meant", leastAdapting),
		}
	case t.o.BN == "adapt-small" && n < 2:
		return &usageError{msg: "--bn adapt-small with one image in a step, expected two at least", hint: "--bn fixed takes single images"}
	case t.o.BN == "adapt-small" && n < leastAdapting:
		t.warn("batch norms adapt to %d images in a step; detectors are usually worse for it below %d", n, leastAdapting)
	}
	return nil
}

// settings is the recipe for a number of training images, and what flags change of it.
func (t *detectorTraining) settings(rows int) error {
	o := &t.o
	r, err := train.NamedRecipe(o.Recipe, t.kind, rows, o.BatchSize)
	if err != nil {
		return err
	}
	if o.Epochs > 0 {
		r.Epochs, r.Steps = o.Epochs, 0
	}
	r.Patience = cmp.Or(o.Patience, r.Patience)
	r.Frozen, r.Rules.FixedNorms = o.BN == "fixed" || o.BN == "frozen", o.BN == "fixed"
	for _, n := range []struct {
		name, text string
		low, high  float64
		to         *float64
	}{{"weight-decay", o.WeightDecay, 0, 1e6, &r.Rules.WeightDecay}, {"clip", o.Clip, 1e-12, 1e12, &r.Clip}, {"ema", o.EMA, 0, .999999999, &r.EMA}, {"lr", o.LR, 0, 1e6, &r.LearningRate}} {
		if n.text == "" {
			continue
		}
		if *n.to, err = fraction(n.name, n.text, n.low, n.high); err != nil {
			return err
		}
		if *n.to == 0 && n.name == "weight-decay" {
			*n.to = -1 // none, where 0 is the default
		}
	}
	if s := o.MaxTime; s != "" {
		if r.MaxTime, err = time.ParseDuration(s); err != nil || r.MaxTime <= 0 {
			return &usageError{msg: fmt.Sprintf("--max-time is %q, expected a time such as 45m or 1h30m", s)}
		}
	}
	if o.Optimizer == "adamw" {
		r.Optimizer = graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}
		if o.LR == "" {
			r.LearningRate /= 100 // as much smaller as AdamW's usual rates are
		}
	}
	t.recipe = r
	t.setSizes()
	return t.setSchedule(rows)
}

// setSizes replaces the sizes of the recipe by those of flags, or of a detector that was
// named.
func (t *detectorTraining) setSizes() {
	o, r := &t.o, &t.recipe
	var images struct{ least, most int }
	switch {
	case o.Size > 0:
		images.least, images.most = o.Size, o.Size
	case o.MinSize > 0:
		images.least, images.most = o.MinSize, cmp.Or(o.MaxSize, int(math.Round(float64(o.MinSize)*5/3)))
	case t.given != nil:
		d := t.spec.Detect.Images
		images.least, images.most = d.MinSize, d.MaxSize
	default:
		return
	}
	r.Detector.MinSize, r.Detector.MaxSize, r.MinSizes = images.least, images.most, []int{images.least}
}

// setSchedule replaces the schedule of the recipe where flags say so.
func (t *detectorTraining) setSchedule(rows int) error {
	o, r := &t.o, &t.recipe
	ramp, _ := r.Schedule.(finetune.Ramp)
	switch o.Schedule {
	case "cosine":
		ramp.Then = finetune.Cosine{}
	case "constant":
		ramp.Then = finetune.Constant{}
	case "step":
		ramp.Then = finetune.MultiStep{At: []float64{16. / 26, 22. / 26}, Gamma: .1}
	case "onecycle":
		ramp = finetune.Ramp{Then: finetune.OneCycle{}} // it has a warm-up of its own
	}
	if o.Warmup != "" {
		epochs, err := fraction("warmup", o.Warmup, 0, 1e6)
		if err != nil {
			return err
		}
		ramp.Steps = int(math.Round(epochs * float64((rows+r.BatchSize-1)/r.BatchSize)))
	}
	r.Schedule = ramp
	return nil
}

// tellRecipe says what the recipe was written for, where the batch has another size, and
// that images are not scaled as the recipe says.
func (t *detectorTraining) tellRecipe() {
	r, p := &t.recipe, t.recipe.Published
	if d := &r.Detector; t.given != nil && t.o.Size == 0 && t.o.MinSize == 0 {
		t.note("images are scaled as for %s: to a shorter side of %d, or a longer one of %d; --size says otherwise", t.Model, d.MinSize, d.MaxSize)
	}
	if r.BatchSize == p.BatchSize {
		return
	}
	text := fmt.Sprintf("the recipe %s is written for %d images in a step and a learning rate of %g; with %d images", t.o.Recipe, p.BatchSize, p.LearningRate, r.BatchSize)
	if scaled := p.LearningRate * float64(r.BatchSize) / float64(p.BatchSize); scaled == r.LearningRate {
		text += fmt.Sprintf(" it is %g", scaled)
	} else {
		text += fmt.Sprintf(" it would be %g, and is set to %g", scaled, r.LearningRate)
	}
	if r.Steps > 0 {
		text += fmt.Sprintf(", and there are %d steps instead of %d, %d passes over the images", r.Steps, p.Steps, t.config.Epochs)
	} else {
		text += fmt.Sprintf(", and there are %s times as many steps in an epoch", strconv.FormatFloat(float64(p.BatchSize)/float64(r.BatchSize), 'g', 3, 64))
	}
	t.warn("%s", text)
}
