package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// openModel reads the backbone, or the detector whose heads are trained on.
func (t *detectorTraining) openModel(context.Context) error {
	m, err := t.env.openModel(t.Model)
	if err != nil {
		return err
	}
	if t.base, err = m.SHA256(); err != nil {
		return err
	}
	kind, err := detectorKind(m, "")
	switch {
	case err != nil && kind == "" || kind == "foreign":
		return hinted{untrainable{fmt.Errorf("%q is a detector of another tool, whose heads cannot be trained here", m.Name())}, "name a backbone, or a detector that rtx import or rtx detect has made"}
	case err != nil:
		return err
	case kind == "imported":
		return t.openDetector(m)
	}
	t.model, t.anySize = m, true
	if err := t.load(); err != nil {
		return err
	}
	t.model, err = t.model.WithSpec(t.spec)
	return err
}

// openDetector makes the core of a detector.
func (t *detectorTraining) openDetector(m *onnx.Model) error {
	o := t.inputOptions
	for _, f := range [][2]string{{"normalize", o.Normalize}, {"range", o.Range}, {"channels", o.Channels}} {
		if f[1] != "" {
			return &usageError{msg: fmt.Sprintf("--%s goes with a backbone, and %q is a detector", f[0], t.Model), hint: "leave it out; the file of the detector says how it takes images"}
		}
	}
	core, err := detect.Core(m)
	if err != nil {
		return err
	}
	t.model, t.given = m, core
	t.spec, _, err = core.Spec()
	return err
}

// givenKind is the kind of a detector.
func givenKind(d *onnx.Detect) string {
	switch {
	case d.Kind == "retinanet":
		return arch.RetinaNet
	case d.Mask != nil:
		return arch.MaskRCNN
	}
	return arch.FasterRCNN
}

// chooseKind settles the kind of the detector, and whether masks are learned.
func (t *detectorTraining) chooseKind(context.Context) error {
	o, masks := &t.o, t.objects.masks > 0
	if o.Masks == "on" && !masks || o.Kind == arch.MaskRCNN && !masks && t.given == nil {
		return hinted{fmt.Errorf("masks are to be learned, and no object of %q has one: %w", t.Data, featurize.ErrData), "--kind fasterrcnn learns boxes alone; rtx detect check shows what the data hold"}
	}
	wanted := o.Kind
	switch {
	case t.given != nil:
		if t.kind = givenKind(t.spec.Detect); wanted != "auto" && wanted != t.kind {
			return &usageError{msg: fmt.Sprintf("--kind is %s, and %q is a %s, whose heads are kept", wanted, t.Model, t.kind), hint: "leave --kind out, or name a backbone"}
		}
		if o.Masks == "on" && t.kind != arch.MaskRCNN {
			return &usageError{msg: fmt.Sprintf("--masks is on, and %q is a %s, which has none", t.Model, t.kind), hint: "name a Mask R-CNN, or a backbone"}
		}
		if t.kind == arch.MaskRCNN && (!masks || o.Masks == "off") {
			t.warn("the mask head of %s is not trained, and stays as it is", t.Model)
		}
	case wanted != "auto":
		t.kind = wanted
	case masks && o.Masks != "off":
		t.kind = arch.MaskRCNN
	default:
		t.kind = arch.FasterRCNN
	}
	if o.Metric == "segm" && !t.learnsMasks() {
		return &usageError{msg: "--metric segm is of masks, which are not learned", hint: "--metric bbox"}
	}
	return t.settings(1)
}

// learnsMasks reports whether masks are learned.
func (t *detectorTraining) learnsMasks() bool {
	return t.kind == arch.MaskRCNN && t.objects.masks > 0 && t.o.Masks != "off"
}

// makeCore makes the core that the first seed begins with, and tells what is new in it.
func (t *detectorTraining) makeCore(context.Context) error {
	m, kept, err := t.newCore(uint64(t.o.Seed))
	if err != nil {
		return t.explainCore(err)
	}
	t.core = m
	classes := t.objects.classes
	switch {
	case t.given == nil:
		t.note("a %s with new heads on %s, for %d classes", t.kind, t.Model, len(classes))
	case len(kept) == len(classes):
		t.note("%s keeps its heads: it knows all %d classes of the data", t.Model, len(classes))
	default:
		var fresh []string
		for _, c := range classes {
			if !slices.Contains(kept, c.Name) {
				fresh = append(fresh, c.Name)
			}
		}
		t.warn("%s knows %d of the %d classes of the data; new in the heads are %s", t.Model, len(kept), len(classes), someOf(fresh))
	}
	if t.given != nil {
		if names := t.dropped(kept); len(names) > 0 {
			t.note("classes of %s that the data do not have are left out: %s", t.Model, someOf(names))
		}
	}
	return nil
}

// dropped are the names of the classes of a detector, without those that were kept.
func (t *detectorTraining) dropped(kept []string) (names []string) {
	for _, c := range t.spec.Detect.Classes {
		if c.Name != "" && !slices.Contains(kept, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// newCore makes the core that a seed begins with: with new heads, or with those of a
// detector for the classes of the data, of which it returns those that were kept.
func (t *detectorTraining) newCore(seed uint64) (m *onnx.Model, kept []string, err error) {
	classes := t.objects.classes
	if t.given != nil {
		m, kept, err = arch.WithClasses(t.given, classes, seed)
	} else {
		c := t.recipe.Detector
		c.Seed = seed
		m, err = arch.NewDetector(t.model, t.kind, classes, c)
	}
	if err != nil {
		return nil, nil, err
	}
	m, err = t.withSizes(m)
	return m, kept, err
}

// withSizes gives a core the sizes of images and, if its heads are new, of anchors.
func (t *detectorTraining) withSizes(m *onnx.Model) (*onnx.Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	d := *spec.Detect
	d.Images.MinSize, d.Images.MaxSize = t.recipe.Detector.MinSize, t.recipe.Detector.MaxSize
	if d.Images.Multiple = sizeMultiple; t.square() > 0 { // in use as in training: the padding is not nothing to a network
		d.Images.Multiple = t.square()
	}
	if t.given == nil {
		d.Anchors.Sizes = t.recipe.Anchors(d.Anchors.Sizes)
	}
	spec.Detect = &d
	return m.WithSpec(spec)
}

// square is the side of the canvas that all images are padded to; 0: they have canvases of
// several shapes.
func (t *detectorTraining) square() int {
	if side := t.recipe.Detector.MinSize; side == t.recipe.Detector.MaxSize && side%sizeMultiple == 0 {
		return side
	}
	return 0
}

// explainCore adds a hint to the error of heads that cannot be made.
func (t *detectorTraining) explainCore(err error) error {
	if errors.Is(err, arch.ErrPyramid) {
		return hinted{untrainable{err}, "networks for images of 32x32 pixels, such as the ResNet-20 of CIFAR-10, halve images only twice; name a backbone for larger ones, such as resnet18 or mobilenet_v2 (rtx models lists them)"}
	}
	if errors.Is(err, onnx.ErrNoStage) || t.given == nil && len(t.spec.Stages) == 0 {
		return hinted{untrainable{err}, "a backbone has feature maps of strides 4, 8, 16 and 32, or some of these; rtx inspect --values lists the values of its graph"}
	}
	return untrainable{err}
}

// build makes the network that a seed begins with.
func (t *detectorTraining) build(seed uint64) (*graph.Network, error) {
	m, _, err := t.newCore(seed)
	if err != nil {
		return nil, err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	spec.Parents = append(slices.Clone(spec.Parents), t.base)
	if t.o.TrainStages > 0 || t.o.BN == "adapt" || t.o.BN == "adapt-small" {
		spec.Robustness = nil // of other weights
	}
	if m, err = m.WithSpec(spec); err != nil {
		return nil, err
	}
	if m, err = t.withSeen(m); err != nil {
		return nil, err
	}
	read := train.Read
	if !t.learnsMasks() {
		read = train.ReadBoxes
	}
	net, err := read(m)
	if err != nil {
		return nil, untrainable{err}
	}
	return net, nil
}

// withSeen is a detector with what it will have seen: what the model that it is made from
// has, and the images of the data once their files were read.
func (t *detectorTraining) withSeen(m *onnx.Model) (*onnx.Model, error) {
	given, err := seenBy(t.model)
	if err != nil || t.data == nil {
		return m, err
	}
	return withSeen(m, given, t.data.Seen())
}
