package detect

import (
	"encoding/json"
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// The values of DeployConfig.Masks.
const (
	MasksBox   = "box"
	MasksImage = "image"
)

// DeployConfig says what a deployed detector does. The zero value takes one image and
// gives masks within boxes.
type DeployConfig struct {
	Masks string // MasksBox (""), or MasksImage: pasted into the image
	Batch int    // 0: one image, and as many rows as it has detections; N: up to N images of one size, and Keep rows for each

	// What Test of the Spec's Detect says, where they are set.
	Score, NMS *float64
	Keep       int
}

// Deploy makes one graph of a detector's core: it normalises, scales and pads images,
// and chooses boxes, with standard operators of ONNX alone.
//
// The graph takes "images", float32 [1,3,H,W], RGB in [0,1], of any size. Where the
// detector wants images scaled with antialiasing, they must have been scaled to the
// size of Scaled before, to 8 bits, since no operator does what Pillow does. It computes "boxes"
// float32 [D,4] in pixels of the given image, "labels" int64 [D], where label i is the
// i-th class from 1 on, "scores" float32 [D], which fall, and "masks" as
// onnx.DetectDeployed says. D may be 0. With a Batch it takes images [N,3,H,W] and
// pads all outputs with zeros to Keep rows an image; "num" int64 [N] counts the rows
// that are detections.
//
// Core undoes it.
func Deploy(core *onnx.Model, c DeployConfig) (*onnx.Model, error) {
	spec, err := specOf(core)
	if err != nil {
		return nil, err
	}
	if spec.Detect.Deployed != nil {
		return nil, fmt.Errorf("detect: %q is deployed already: make its core first", core.Name())
	}
	d, err := c.apply(*spec.Detect)
	if err != nil {
		return nil, err
	}
	b := &deployment{graph: newGraph(), spec: spec, d: d, images: max(1, c.Batch)}
	m, err := b.input(core)
	if err != nil {
		return nil, err
	}
	b.outputs()
	return b.model(core, m)
}

// apply returns what a deployed detector's Spec says.
func (c DeployConfig) apply(d onnx.Detect) (*onnx.Detect, error) {
	if c.Batch < 0 || c.Batch > 64 || c.Keep < 0 {
		return nil, fmt.Errorf("detect: a batch of %d images with %d detections each, expected up to 64 images", c.Batch, c.Keep)
	}
	d.Deployed = &onnx.DetectDeployed{Batch: c.Batch}
	if d.Mask != nil {
		d.Deployed.Masks = MasksBox
	}
	switch {
	case c.Masks == "" || c.Masks == MasksBox:
	case c.Masks != MasksImage:
		return nil, fmt.Errorf("detect: masks %q, expected %q or %q", c.Masks, MasksBox, MasksImage)
	case d.Mask == nil:
		return nil, fmt.Errorf("detect: masks %q of a detector that has none", c.Masks)
	default:
		d.Deployed.Masks = MasksImage
	}
	if c.Score != nil {
		d.Test.Score = *c.Score
	}
	if c.NMS != nil {
		d.Test.NMS = *c.NMS
	}
	if c.Keep > 0 {
		d.Test.Keep = c.Keep
	}
	if t := d.Test; !(t.Score >= 0 && t.Score < 1) || !(t.NMS > 0 && t.NMS <= 1) || t.Keep < 1 {
		return nil, fmt.Errorf("detect: scores above %v, IoU up to %v and %d detections, expected [0,1), (0,1] and 1 or more", t.Score, t.NMS, t.Keep)
	}
	d.Images.Inside = !d.Images.Antialias
	return &d, nil
}

// deployment is what Deploy builds.
type deployment struct {
	*graph
	spec   onnx.Spec // of the core
	d      *onnx.Detect
	images int // how many are told apart, at most

	count        string // number of images
	present      string // [N]: the numbers of the images that are there
	padded       string // what the trunk reads
	height       string // of the input without its padding
	width        string
	imageHeight  string // of the given image
	imageWidth   string
	limits       string // [2]: the width and height to which boxes are clipped
	ratios       string // [4]: what scales boxes to the given image
	paddedHeight string
	paddedWidth  string
}

// model puts the parts together.
func (b *deployment) model(core, m *onnx.Model) (*onnx.Model, error) {
	g := m.Proto.Graph
	for _, v := range g.Output {
		b.d.Deployed.Core.Outputs = append(b.d.Deployed.Core.Outputs, v.Name)
	}
	for _, v := range append(g.Output, g.Input...) { // Core reads their shapes
		if v.Name != b.spec.Input {
			g.ValueInfo = append(g.ValueInfo, v)
		}
	}
	n := onnx.Sized(1)
	if b.d.Deployed.Batch > 0 {
		n = onnx.Named("N")
	}
	g.Input = []*pb.ValueInfoProto{onnx.NewValue(b.spec.Input, pb.TensorProto_FLOAT, n, onnx.Sized(3), onnx.Named("H"), onnx.Named("W"))}
	g.Output = b.outputInfo()
	g.Node = ordered(append(g.Node, b.nodes...))
	g.Initializer = append(g.Initializer, b.constants...)
	if bad := m.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("detect: %q cannot be deployed: %s: %w", core.Name(), bad[0], onnx.ErrFormat)
	}
	spec := b.spec
	s := &b.d.Deployed.Core
	s.Range, s.Channels, s.Mean, s.Std, s.Clamp, s.Normalized = spec.Range, spec.Channels, spec.Mean, spec.Std, spec.Clamp, spec.Normalized
	spec.Range, spec.Channels, spec.Mean, spec.Std, spec.Clamp, spec.Normalized = [2]float64{0, 1}, "rgb", nil, nil, nil, true
	spec.Detect = b.d
	m, err := m.WithSpec(spec)
	if err != nil {
		return nil, err
	}
	names, err := json.Marshal(b.d.LabelNames())
	if err != nil {
		return nil, err
	}
	return m.WithMetadata(onnx.ClassesKey, string(names)), nil
}

// specOf is the Spec of a detector.
func specOf(m *onnx.Model) (onnx.Spec, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return spec, err
	}
	if spec.Detect == nil {
		return spec, fmt.Errorf("detect: %q: %w", m.Name(), ErrNoDetector)
	}
	if err := checkSpec(spec); err != nil {
		return spec, err
	}
	return spec, checkShapes(m, spec.Detect)
}
