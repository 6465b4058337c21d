package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// prepare settles what the model's Spec decides.
func (t *finetuning) prepare() error {
	if err := t.checkRoot(); err != nil {
		return err
	}
	var err error
	if t.base, err = t.model.SHA256(); err != nil {
		return err
	}
	if t.model, err = t.model.WithSpec(t.spec); err != nil {
		return err
	}
	if given := t.Normalize; t.recipe.TargetNorm && (given == "" || given == "spec") {
		if t.model, err = t.model.WithoutNormalization(); err != nil {
			return hinted{fmt.Errorf("--recipe paper: %w", err), "--normalize says how images are to be normalised"}
		}
		if t.spec, _, err = t.model.Spec(); err != nil {
			return err
		}
		t.warn("the recipe paper does not normalise by ImageNet's mean and standard deviation, as its released code does not")
	}
	t.tellUnrecorded()
	if t.model, err = t.model.Normalize(); err != nil { // t.spec still tells how
		return err
	}
	return t.choosePolicy()
}

// tellUnrecorded warns of flags that change the pixels and that the weights do not
// record.
func (t *finetuning) tellUnrecorded() {
	var flags []string
	if t.PreResize != 0 {
		flags = append(flags, fmt.Sprintf("--pre-resize %d", t.PreResize))
	}
	if t.ExifRotate {
		flags = append(flags, "--exif-rotate")
	}
	if len(flags) > 0 {
		with := strings.Join(flags, " ")
		t.warn("the weights say nothing of %s: rtx eval and predict need it again, and use.py does without it", with)
	}
}

// trainable finds what of the model cannot be trained, before anything is
// computed.
func (t *finetuning) trainable() error {
	m := t.model
	switch how := t.o.Head; how {
	case "keep":
		exclusive, changed, err := m.Exclusive()
		if err != nil {
			return hinted{fmt.Errorf("--head keep: %q: %w", m.Name(), err), newHeadHint}
		}
		if changed != "" {
			t.warn("--head keep: %s: %s", m.Name(), changed)
		}
		m = exclusive
	case "auto", "probe", "new":
		value, width, err := t.features()
		if err != nil {
			return err
		}
		if why := m.AreScores(value, width); why != "" {
			t.warn("%s: the features %q are probably scores of %d classes (%s), because no linear layer was found before them; the new head reads them", m.Name(), value, width, why)
		}
		if m, err = m.Attach(value, onnx.ZeroLinear(width, 2)); err != nil {
			return err
		}
	default:
		head, err := onnx.LoadLinear(how)
		if errors.Is(err, fs.ErrNotExist) {
			return &usageError{msg: fmt.Sprintf("--head: %v", err), hint: "auto, probe, new, keep, or a head.onnx of rtx probe"}
		}
		value, _, failed := t.features()
		if failed != nil {
			return failed
		}
		if err == nil {
			m, err = m.Attach(value, head)
		}
		if err != nil {
			return hinted{untrainable{fmt.Errorf("--head %q: %w", how, err)}, "auto, probe, new, keep, or a head.onnx of rtx probe on features of this model"}
		}
	}
	net, err := readGraph(m)
	if err != nil {
		return err
	}
	if _, err := t.recipe.Rules.For(net); err != nil {
		return &usageError{msg: err.Error(), hint: "rtx inspect shows the stages and the head; models that rtx import makes of checkpoints have them"}
	}
	return nil
}

// features is the value that the head reads, and how many numbers it has.
func (t *finetuning) features() (value string, width int, err error) {
	if value, err = t.model.Feature(t.spec); err != nil {
		return "", 0, err
	}
	if width = t.model.Width(value); width == 0 {
		return "", 0, hinted{fmt.Errorf("%q does not say how many features %q has: %w", t.model.Name(), value, onnx.ErrFormat), "rtx import writes a model that does"}
	}
	return value, width, nil
}

// readGraph reads a network to compute gradients or statistics of, up to values
// or to its logits.
func readGraph(m *onnx.Model, values ...string) (*graph.Network, error) {
	net, err := graph.Read(m, values...)
	if err != nil {
		return nil, untrainable{err}
	}
	return net, nil
}

// build makes the network to train: the model with the head that was asked for.
func (t *finetuning) build(seed uint64) (*graph.Network, error) {
	m, err := t.headed(seed)
	if err != nil {
		return nil, err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	spec.Parents = append(slices.Clone(spec.Parents), t.base)
	if t.recipe.Rules.Mode != (finetune.Mode{Fixed: true}) || !t.recipe.Frozen {
		spec.Robustness = nil // of other weights
	}
	if a := t.task.Adversary; a != nil && t.recipe.Rules.Mode != (finetune.Mode{Fixed: true}) { // a head alone makes no features robust
		spec.Robustness = &onnx.Robustness{Norm: string(a.Threat.Norm), Eps: a.Threat.Eps}
	}
	if m, err = m.WithSpec(spec); err != nil {
		return nil, err
	}
	if m, err = withSeen(m, t.data.Seen()); err != nil {
		return nil, err
	}
	return readGraph(m)
}

// headed is the model with the head that --head says.
func (t *finetuning) headed(seed uint64) (*onnx.Model, error) {
	classes := t.data.Classes()
	how := t.head
	if how == "keep" {
		return t.keptHead(classes)
	}
	value, width, err := t.features()
	if err != nil {
		return nil, err
	}
	if t.startsFromProbe() {
		return t.model.Attach(value, t.probe.head)
	}
	if how != "new" && how != "probe" {
		return t.withHeadFile(value, classes)
	}
	head := onnx.ZeroLinear(width, len(classes))
	if t.o.HeadInit != "zero" {
		head = onnx.RandomLinear(width, len(classes), seed)
	}
	head.Classes = classes
	return t.model.Attach(value, head)
}

// withHeadFile is the model with the head of the file that --head names, and with what
// that has seen.
func (t *finetuning) withHeadFile(value string, classes []string) (*onnx.Model, error) {
	m, err := onnx.Load(t.o.Head)
	if err != nil {
		return nil, fmt.Errorf("--head: %w", err)
	}
	head, err := onnx.LinearOf(m)
	if err != nil {
		return nil, fmt.Errorf("--head: %w", err)
	}
	own, err := head.Arrange(classes)
	if err != nil {
		return nil, hinted{fmt.Errorf("--head %q: %w", t.o.Head, err), newHeadHint}
	}
	by, err := seenBy(m)
	if err != nil {
		return nil, err
	}
	if m, err = t.model.Attach(value, own); err != nil {
		return nil, err
	}
	return withSeen(m, by)
}

const newHeadHint = "--head new makes a head for the classes of the images"

// keptHead is the model as it is, whose classes must be those of the data.
func (t *finetuning) keptHead(classes []string) (*onnx.Model, error) {
	m, _, err := t.model.Exclusive()
	if err != nil {
		return nil, fmt.Errorf("--head keep: %w", err)
	}
	if t.places, err = m.ClassIndices(classes); err != nil {
		hint := newHeadHint
		if errors.Is(err, onnx.ErrNoClasses) {
			hint += "; rtx import --labels names them"
		}
		return nil, hinted{fmt.Errorf("--head keep: %w", err), hint}
	}
	return m, nil
}

// labelled is the data with labels as the network's head has them.
func (t *finetuning) labelled() finetune.Data {
	if t.places == nil {
		return t.data
	}
	return relabelled{t.data, t.places}
}

// relabelled has other numbers for classes.
type relabelled struct {
	finetune.Data
	of []int
}

func (r relabelled) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	err := r.Data.Load(ctx, s, epoch, b)
	for i, truth := range b.Truth {
		if label, ok := truth.(int); ok {
			b.Truth[i] = r.of[label]
		}
	}
	return err
}
