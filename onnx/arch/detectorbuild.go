package arch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// found is a detector among tensors.
type found struct {
	detector
	names   dialect
	prefix  string // what all names begin with
	tensors []onnx.Tensor
}

// findDetector tells whether the tensors are those of a detector: whether they have
// the names of its heads, after a prefix common to all.
func findDetector(tensors []onnx.Tensor) (found, bool) {
	for _, prefix := range prefixes(tensors) {
		names := dialectOf(tensors, prefix)
		s := shapesOf(tensors, names, prefix)
		kind := s.kind()
		if kind == "" || !s.pyramid() {
			continue
		}
		f := found{detector: s.detector(kind), names: names, prefix: prefix, tensors: tensors}
		// Detectron2 has its plain bottlenecks from Microsoft Research Asia.
		f.body.msra = names.conventions == detectron2 && f.body.bottleneck && f.body.groups == 1 && f.body.perGroup == 64 && f.foldedStd()
		return f, true
	}
	return found{}, false
}

// foldedStd tells whether the weights have the standard deviation of pixels folded in,
// as those from Microsoft Research Asia have: whether pixel_std is 1, or not in the file.
func (f found) foldedStd() bool {
	for _, t := range f.tensors {
		if t.Name == f.prefix+"pixel_std" && t.DType == pb.TensorProto_FLOAT && t.Size() == 12 {
			v, err := floats(t)
			return err != nil || v[0] == 1 && v[1] == 1 && v[2] == 1
		}
	}
	return true
}

// pyramid tells whether any tensor is one of a feature pyramid.
func (s shapes) pyramid() bool {
	for name := range s {
		if strings.HasPrefix(name, "backbone.fpn.") {
			return true
		}
	}
	return false
}

// dialectOf tells whose names the tensors have.
func dialectOf(tensors []onnx.Tensor, prefix string) dialect {
	d := dialect{}
	for _, t := range tensors {
		rest, ok := strings.CutPrefix(t.Name, prefix)
		if !ok {
			continue
		}
		if strings.HasPrefix(rest, "backbone.bottom_up.") || strings.HasPrefix(rest, "proposal_generator.") || strings.HasPrefix(rest, "backbone.fpn_") {
			d.conventions = detectron2
		}
		var level int
		if n, _ := fmt.Sscanf(rest, "backbone.fpn_lateral%d", &level); n == 1 && (d.first == 0 || level < d.first) {
			d.first = level
		}
	}
	return d
}

// as returns the detector that a name stands for, which must be one of what was found:
// the name it has, or the one that says where bottlenecks have their stride, which the
// tensors cannot tell. Any other name is compared with the tensors, too, which gives a
// mismatch.
func (f found) as(name string) (found, error) {
	if name == "" || name == f.name() {
		return f, nil
	}
	other := f
	other.body.msra = !other.body.msra && f.body.bottleneck
	if other.name() == name {
		return other, nil
	}
	d, ok := detectorNamed(name, f.classes)
	if !ok {
		return f, fmt.Errorf("arch: unknown detector %q, expected one of %q", name, Detectors)
	}
	d.anchors = f.anchors
	f.detector = d
	return f, nil
}

// adapted returns the tensors with the background in front of the other classes.
func (f found) adapted() []onnx.Tensor {
	if f.names.conventions != detectron2 || f.kind == RetinaNet {
		return f.tensors
	}
	out := slices.Clone(f.tensors)
	for i, t := range out {
		if rest, ok := strings.CutPrefix(t.Name, f.prefix); ok {
			out[i] = backgroundFirst(t, f.names.own(rest))
		}
	}
	return out
}

// split separates the small tensors beside the layers: anchors, and statistics of
// pixels, which old files of Detectron2 have. Both have their names without the prefix.
func (f found) split(tensors []onnx.Tensor) (layers, beside []onnx.Tensor) {
	for _, t := range tensors {
		rest, ok := strings.CutPrefix(t.Name, f.prefix)
		if ok && f.names.conventions == detectron2 && t.DType == pb.TensorProto_FLOAT && t.Elements() > 0 && t.Size() <= maxBeside &&
			(strings.Contains(rest, "anchor_generator.cell_anchors.") || rest == "pixel_mean" || rest == "pixel_std") {
			beside = append(beside, t)
		} else {
			layers = append(layers, t)
		}
	}
	return layers, beside
}

// maxBeside is how large the anchors of a position may be.
const maxBeside = 1 << 14

// compare returns the layers of the detector, and how the tensors differ from them, nil
// where they do not.
func (f found) compare() (*builder, *Mismatch, error) {
	b, err := f.define()
	if err != nil {
		return nil, nil, err
	}
	a := f.architecture()
	a.alias = f.names.own
	layers, _ := f.split(f.adapted())
	m := a.differ(b, layers, f.prefix)
	if m.faults() == 0 {
		return b, nil, nil
	}
	m.Detector = true
	for i, name := range m.Missing {
		m.Missing[i] = f.prefix + f.names.theirs(name)
	}
	return b, m, nil
}

// buildDetector makes the model of Build.
func buildDetector(f found, c Config) (*onnx.Model, error) {
	name := f.name()
	if c.BatchNormEps != nil {
		f.eps = *c.BatchNormEps
	}
	b, mismatch, err := f.compare()
	if err != nil {
		return nil, err
	}
	if mismatch != nil {
		return nil, mismatch
	}
	if err := f.check(c); err != nil {
		return nil, fmt.Errorf("arch: %s: %w", name, err)
	}
	m, spec, err := f.model(b, f.names.conventions, c, f.details)
	if err != nil {
		return nil, fmt.Errorf("arch: %s: %w", name, err)
	}
	a := f.architecture()
	a.alias = f.names.own
	if err := a.load(m, &spec, b, f.adapted(), len(f.prefix)); err != nil {
		return nil, fmt.Errorf("arch: %s: %w", name, err)
	}
	return m.WithSpec(spec)
}

// check looks at what the Config says.
func (f found) check(c Config) error {
	if f.eps < 0 || f.eps > 1 || math.IsNaN(f.eps) {
		return fmt.Errorf("batch norms with an epsilon of %g, expected 0 to 1", f.eps)
	}
	if c.Headless {
		return errors.New("a detector has no features of whole images")
	}
	if s := f.names.spec(f.detector).InputSize; c.InputSize != [2]int{} && c.InputSize != s {
		return errors.New("a detector takes images of any size")
	}
	return c.checkPixels()
}

// details puts what the tensors beside the layers say into the Spec.
func (f found) details(s *onnx.Spec) error {
	_, beside := f.split(f.tensors)
	var anchors [][]float64
	for _, t := range beside {
		v, err := floats(t)
		if err != nil {
			return err
		}
		switch rest := t.Name[len(f.prefix):]; {
		case rest == "pixel_mean" && len(v) == 3:
			s.Mean = v
			switch { // of ImageNet's colours red is the brightest, and blue the darkest
			case v[0] > v[2]:
				s.Channels = "rgb"
			case v[0] < v[2]:
				s.Channels = "bgr"
			}
		case rest == "pixel_std" && len(v) == 3 && v[0] > 0 && v[1] > 0 && v[2] > 0:
			s.Std = v
		case strings.Contains(rest, "cell_anchors."):
			level := number(rest[strings.LastIndexByte(rest, '.')+1:])
			if level != len(anchors) {
				return fmt.Errorf("the anchors of level %d are missing", len(anchors))
			}
			anchors = append(anchors, v)
		}
	}
	return f.setAnchors(s.Detect, anchors)
}

// floats are the values of a float32 tensor.
func floats(t onnx.Tensor) ([]float64, error) {
	raw, err := t.Bytes()
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	out := make([]float64, len(raw)/4)
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return out, nil
}
