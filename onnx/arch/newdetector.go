package arch

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/onnx"
)

// DetectorConfig says what NewDetector makes. The zero value is the detector as
// torchvision publishes it.
type DetectorConfig struct {
	Conventions string // whose code the detector follows: "torchvision" ("") or "detectron2"

	Channels int // of the pyramid's levels and of the convolutions of the heads; 0: 256
	Hidden   int // width of the two hidden layers of the box head; 0: 1024

	MinSize int // what the shorter side of an image is scaled to; 0: 800
	MaxSize int // unless the longer side were longer than this; 0: 1333 for 800, and in proportion

	// AnchorSizes are the sides of the anchors of each level, fine to coarse, each of
	// which comes with the ratios 1:2, 1:1 and 2:1. None: of a two-stage detector 8 times
	// the level's stride; of RetinaNet 4 times the stride, and that times 2^(1/3) and
	// 2^(2/3).
	AnchorSizes [][]float64

	Seed uint64 // of the initial weights, as of Untrained
}

// NewDetector puts the untrained heads of a detector on a backbone: a feature pyramid
// and the heads of a FasterRCNN, a MaskRCNN or a RetinaNet, for the classes. The result
// is a core, such as Build makes of a detector's checkpoint, with the same names of
// values and of the parameters behind the trunk, and with the Spec's Detect. The trunk
// is the part of the backbone that computes the feature maps which the pyramid takes;
// its values, parameters and normalisation are as they were, and its input is called
// "images".
//
// The feature maps are the Spec's stages, or where it has none those of
// [onnx.Model.Stages]: of each stride of 4, 8, 16 and 32 the last one; RetinaNet leaves
// out stride 4 where the backbone has two coarser ones. They must be two or more, each
// of twice the stride of the one before, and follow the size of the images.
//
// Weights are drawn as torchvision and Detectron2 draw them: the pyramid from
// kaiming_uniform_(a=1); the region proposal network and RetinaNet's heads from
// N(0,0.01), with a prior probability of 0.01 in the biases of RetinaNet's classes; the
// box head like any linear layer of PyTorch; the mask head from
// kaiming_normal_(mode="fan_out"). In Detectron2 the box head is like the pyramid, and
// the last layers of boxes and masks are from N(0,0.01) for classes and N(0,0.001) for
// corners and masks. Other biases are zero, but for those of torchvision's box head and
// of its layers behind the mask head's convolutions, which are as in any layer of PyTorch.
func NewDetector(backbone *onnx.Model, kind string, classes []onnx.DetectClass, c DetectorConfig) (*onnx.Model, error) {
	if !slices.Contains(kinds, kind) {
		return nil, fmt.Errorf("arch: unknown kind of detector %q, expected one of %q", kind, kinds)
	}
	fail := func(err error) (*onnx.Model, error) {
		return nil, fmt.Errorf("arch: %s on %q: %w", kind, backbone.Name(), err)
	}
	conv, err := c.conventions()
	if err != nil {
		return fail(err)
	}
	if err := checkClasses(classes); err != nil {
		return fail(err)
	}
	t, err := newTrunk(backbone, kind)
	if err != nil {
		return fail(err)
	}
	d, err := c.detector(kind, t, len(classes))
	if err != nil {
		return fail(err)
	}
	b := t.builder()
	d.behindTrunk(b)
	if b.err != nil {
		return fail(b.err)
	}
	m, renamed, err := t.joined(b)
	if err != nil {
		return fail(err)
	}
	spec := t.detectorSpec(d, conv, renamed)
	d.values(b, m.Proto.Graph, &spec)
	spec.Detect.Classes = slices.Clone(classes)
	if err := c.sizes(d, conv, &spec); err != nil {
		return fail(err)
	}
	d.draw(m, b, conv, c.Seed)
	if bad := m.Validate(); len(bad) > 0 {
		return fail(fmt.Errorf("%s: %w", bad[0], onnx.ErrFormat))
	}
	return m.WithMetadata(SeedKey, strconv.FormatUint(c.Seed, 10)).WithSpec(spec)
}

// conventions are those of a name.
func (c DetectorConfig) conventions() (conventions, error) {
	for _, v := range []conventions{torchvision, detectron2} {
		if c.Conventions == v.String() || c.Conventions == "" {
			return v, nil
		}
	}
	return 0, fmt.Errorf("conventions of %q, expected %s or %s", c.Conventions, torchvision, detectron2)
}

// checkClasses looks at the names of classes. Several may be unused, without a name.
func checkClasses(classes []onnx.DetectClass) error {
	if len(classes) == 0 || len(classes) > maxClasses {
		return fmt.Errorf("%d classes, expected 1 to %d", len(classes), maxClasses)
	}
	seen := map[string]bool{}
	for _, k := range classes {
		if seen[k.Name] && k.Name != "" {
			return fmt.Errorf("two classes are called %q", k.Name)
		}
		seen[k.Name] = true
	}
	return nil
}

// detector is the detector that is put on a trunk.
func (c DetectorConfig) detector(kind string, t *givenTrunk, classes int) (detector, error) {
	d := detector{kind: kind, body: trunk{name: t.name}, channels: 256, classes: classes, depth: 1, anchors: 3, eps: t.eps}
	hidden := 1024
	for _, n := range []struct {
		name  string
		value int
		to    *int
	}{{"channels", c.Channels, &d.channels}, {"hidden", c.Hidden, &hidden}} {
		if n.value < 0 || n.value > 1<<14 {
			return d, fmt.Errorf("%s is %d, expected 1 to %d", n.name, n.value, 1<<14)
		}
		if n.value > 0 {
			*n.to = n.value
		}
	}
	for i := range t.stages {
		d.laterals = append(d.laterals, i)
	}
	if kind == RetinaNet {
		d.depth, d.anchors, d.p6FromC5 = 4, 9, c.Conventions == detectron2.String()
	} else {
		d.classes++ // the background
		d.boxSize, d.boxLinear = 7, []int{hidden, hidden}
	}
	if kind == MaskRCNN {
		d.maskConvs, d.maskHidden = []int{d.channels, d.channels, d.channels, d.channels}, d.channels
	}
	if len(c.AnchorSizes) > 0 {
		if d.anchors = 3 * len(c.AnchorSizes[0]); d.anchors == 0 {
			return d, fmt.Errorf("no anchors of the finest level")
		}
	}
	return d, nil
}

// sizes puts the sizes of images and anchors into a Spec whose levels are known.
func (c DetectorConfig) sizes(d detector, conv conventions, s *onnx.Spec) error {
	images := &s.Detect.Images
	if c.MinSize != 0 {
		images.MinSize = c.MinSize
	}
	images.MaxSize = c.MaxSize
	if c.MaxSize == 0 {
		images.MaxSize = int(math.Round(float64(images.MinSize) * 1333 / 800))
	}
	if images.MinSize < 1 || images.MaxSize < images.MinSize || images.MaxSize > 1<<14 {
		return fmt.Errorf("images of a shorter side of %d and a longer one of up to %d, expected 1 to %d", images.MinSize, images.MaxSize, 1<<14)
	}
	up := func(n int) int { return (n + images.Multiple - 1) / images.Multiple * images.Multiple }
	s.InputSize, s.Resize, s.Crop = [2]int{up(images.MinSize), up(images.MaxSize)}, 0, "none"
	finest := 8 * s.Detect.Levels[0].Stride
	if d.kind == RetinaNet {
		finest /= 2
	}
	s.Detect.Anchors.Sizes = d.anchorSizes(conv, finest)
	if len(c.AnchorSizes) == 0 {
		return nil
	}
	if len(c.AnchorSizes) != len(s.Detect.Levels) {
		return fmt.Errorf("anchors of %d levels, expected %d", len(c.AnchorSizes), len(s.Detect.Levels))
	}
	s.Detect.Anchors.Sizes = nil
	for i, sizes := range c.AnchorSizes {
		if 3*len(sizes) != d.anchors {
			return fmt.Errorf("%d anchors of level %d, and %d of level 0: expected as many", len(sizes), i, d.anchors/3)
		}
		for _, v := range sizes {
			if !(v > 0 && v <= 1<<14) {
				return fmt.Errorf("an anchor of size %v of level %d, expected more than 0 and up to %d", v, i, 1<<14)
			}
		}
		s.Detect.Anchors.Sizes = append(s.Detect.Anchors.Sizes, slices.Clone(sizes))
	}
	return nil
}
