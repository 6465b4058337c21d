package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// detector is a detector on a feature pyramid ("Feature Pyramid Networks for Object
// Detection", Lin et al. 2017), as torchvision and Detectron2 build it: Faster R-CNN
// (Ren et al. 2015), Mask R-CNN (He et al. 2017) or RetinaNet ("Focal Loss for Dense
// Object Detection", Lin et al. 2017). Parameters have torchvision's names.
type detector struct {
	kind string // fasterrcnn, maskrcnn or retinanet
	body trunk

	laterals []int // indices of the trunk's stages that the pyramid takes
	channels int   // of the pyramid's levels
	fpnNorm  bool  // batch norms in the pyramid
	p6FromC5 bool  // RetinaNet: level 6 is computed of the trunk's last stage, else of level 5

	anchors  int  // at each position of a level
	classes  int  // outputs: of a two-stage detector the background is one of them
	depth    int  // 3x3 convolutions of the RPN, or of each of RetinaNet's two heads
	headNorm bool // RetinaNet: group norms behind those convolutions

	boxSize   int   // side of the features of a box
	boxConvs  []int // channels of the 3x3 convolutions of the box head
	boxLinear []int // widths of its hidden linear layers

	maskConvs  []int // channels of the 3x3 convolutions of the mask head
	maskNorm   bool  // batch norms behind those
	maskHidden int   // channels of the transposed convolution

	eps float64 // of batch norms
}

// The kinds of detectors, which the names of the networks begin with.
const (
	FasterRCNN = "fasterrcnn"
	MaskRCNN   = "maskrcnn"
	RetinaNet  = "retinanet"
)

// kinds are all of them.
var kinds = []string{FasterRCNN, MaskRCNN, RetinaNet}

// defaultEps is what PyTorch's batch norms add to variances, and the frozen ones of
// torchvision and Detectron2.
const defaultEps = 1e-5

// trunk is the network that computes the feature maps of which a pyramid is made.
type trunk struct {
	name string // "" where the resnet is none that has a name
	resnet
	stem int // channels of its first convolution

	// msra puts the stride of bottlenecks into the first convolution, as in the
	// networks that Detectron2 took over from Microsoft Research Asia.
	msra bool
}

// tinyTrunk is for tests.
const tinyTrunk = "tiny"

// trunkNamed is the trunk of a name, such as resnet50 or resnet50_msra.
func trunkNamed(name string) (trunk, bool) {
	plain, msra := strings.CutSuffix(name, "_msra")
	for _, n := range namedResnets {
		if n.name == plain && (!msra || n.bottleneck) {
			return trunk{name: plain, resnet: n.resnet, stem: 64, msra: msra}, true
		}
	}
	if plain == tinyTrunk {
		return trunk{name: plain, resnet: resnet{[4]int{1, 1, 1, 1}, true, 1, 64}, stem: 8, msra: msra}, true
	}
	return trunk{}, false
}

// String is the name of the trunk in that of a detector.
func (t trunk) String() string {
	name := t.name
	if name == "" {
		name = "resnet"
	}
	if t.msra {
		name += "_msra"
	}
	return name
}

// width is the number of channels of a stage.
func (t trunk) width(stage int) int {
	if t.bottleneck {
		return 4 * t.stem << stage
	}
	return t.stem << stage
}

// name is that of the detector, as torchvision has it.
func (d detector) name() string {
	name := d.kind + "_" + d.body.String() + "_fpn"
	if d.fpnNorm || d.headNorm {
		name += "_v2"
	}
	return name
}

// detectorNamed is the detector of a name as published, with a number of classes: of
// a two-stage detector the background counts as one, as in torchvision.
func detectorNamed(name string, classes int) (detector, bool) {
	kind, rest, _ := strings.Cut(name, "_")
	rest, v2 := strings.CutSuffix(rest, "_v2")
	rest, pyramid := strings.CutSuffix(rest, "_fpn")
	body, known := trunkNamed(rest)
	if !known || !pyramid || !slices.Contains(kinds, kind) || body.msra && v2 {
		return detector{}, false
	}
	d := detector{kind: kind, body: body, channels: 256, classes: classes, depth: 1, laterals: []int{0, 1, 2, 3}, eps: defaultEps}
	hidden := 1024
	if body.name == tinyTrunk {
		d.channels, hidden = 32, 24
	}
	if kind == RetinaNet {
		d.laterals, d.anchors, d.depth, d.headNorm, d.p6FromC5 = []int{1, 2, 3}, 9, 4, v2, v2 || body.msra
		return d, true
	}
	convs := []int{d.channels, d.channels, d.channels, d.channels}
	d.anchors, d.fpnNorm, d.boxSize, d.boxLinear = 3, v2, 7, []int{hidden, hidden}
	if v2 {
		d.depth, d.boxConvs, d.boxLinear = 2, convs, []int{hidden}
	}
	if kind == MaskRCNN {
		d.maskConvs, d.maskNorm, d.maskHidden = convs, v2, d.channels
	}
	return d, true
}

// Detectors lists the detectors that have a name: those of torchvision, and with
// "_msra" those of Detectron2 that have the stride of bottlenecks in the first
// convolution. Build takes these names, too, and Recognize returns them.
var Detectors = func() (names []string) {
	for _, kind := range kinds {
		for _, n := range namedResnets {
			names = append(names, kind+"_"+n.name+"_fpn")
			if n.bottleneck && n.groups == 1 && n.perGroup == 64 {
				names = append(names, kind+"_"+n.name+"_msra_fpn")
			}
		}
		names = append(names, kind+"_resnet50_fpn_v2")
	}
	return names
}()

// isDetector tells whether a name is that of a detector.
func isDetector(name string) bool {
	kind, rest, _ := strings.Cut(name, "_")
	return slices.Contains(kinds, kind) && rest != ""
}

// nominalSize is the height and width for which shapes are computed while a detector
// is built. The model takes images of any size.
const nominalSize = 1024

// define adds the layers.
func (d detector) define() (*builder, error) {
	a := d.architecture()
	b, err := a.define(d.classes, [2]int{})
	if err == nil && len(b.stages) == 0 {
		err = fmt.Errorf("arch: %s: no layers", a.name)
	}
	return b, err
}

// architecture is the detector as a sequence of layers, to compare tensors with.
func (d detector) architecture() architecture {
	return architecture{name: d.name(), size: nominalSize, mean: onnx.ImageNetMean, std: onnx.ImageNetStd, build: func(b *builder) { d.build(b) }}
}

// syntheticDetector is the network of Synthetic.
func syntheticDetector(d detector) (*onnx.Model, error) {
	b, err := d.define()
	if err != nil {
		return nil, err
	}
	conv := torchvision
	if d.body.msra {
		conv = detectron2
	}
	m, spec, err := d.model(b, conv, Config{}, func(*onnx.Spec) error { return nil })
	if err != nil {
		return nil, err
	}
	for _, p := range b.params {
		p.fill(m, initializer(m, p))
	}
	return m.WithSpec(spec)
}

// model assembles the graph, still without weights, and its Spec, which details
// completes.
func (d detector) model(b *builder, conv conventions, c Config, details func(*onnx.Spec) error) (*onnx.Model, onnx.Spec, error) {
	spec := conv.spec(d)
	if err := details(&spec); err != nil {
		return nil, spec, err
	}
	spec.Stages = b.stages
	spec.Clamp = c.Clamp
	if c.Mean != nil {
		spec.Mean, spec.Std = c.Mean, c.Std
	}
	g := &pb.GraphProto{Name: spec.Arch, Node: b.nodes}
	m := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, ProducerName: "rtx", Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}})
	d.values(b, g, &spec)
	if c.Labels != nil {
		if len(c.Labels) != len(spec.Detect.Classes) {
			return nil, spec, fmt.Errorf("%d labels, expected %d, one for each class", len(c.Labels), len(spec.Detect.Classes))
		}
		for i, name := range c.Labels {
			spec.Detect.Classes[i].Name = name
		}
	}
	if c.Normalize {
		normalize(g, &spec)
		spec.Detect.Images.Value = spec.NormNodes[len(spec.NormNodes)-1]
	}
	return m, spec, nil
}

// values declares the inputs and outputs, and names them in the Spec.
func (d detector) values(b *builder, g *pb.GraphProto, s *onnx.Spec) {
	input := func(name, count string, dims ...*pb.TensorShapeProto_Dimension) {
		g.Input = append(g.Input, onnx.NewValue(name, pb.TensorProto_FLOAT, append([]*pb.TensorShapeProto_Dimension{onnx.Named(count)}, dims...)...))
	}
	output := func(name, count string, dims ...*pb.TensorShapeProto_Dimension) {
		g.Output = append(g.Output, onnx.NewValue(name, pb.TensorProto_FLOAT, append([]*pb.TensorShapeProto_Dimension{onnx.Named(count)}, dims...)...))
	}
	input("images", "N", onnx.Sized(3), onnx.Named("H"), onnx.Named("W"))
	for i, l := range d.levels(b) {
		h, w := onnx.Named(fmt.Sprintf("H%d", i)), onnx.Named(fmt.Sprintf("W%d", i))
		for _, v := range []string{l.Value, l.Logits, l.Deltas} {
			output(v, "N", onnx.Sized(b.shapes[v][0]), h, w)
		}
		s.Detect.Levels = append(s.Detect.Levels, l)
	}
	if x := s.Detect.Box; x != nil {
		input(x.Features, "R", onnx.Sized(d.channels), onnx.Sized(x.Size), onnx.Sized(x.Size))
		output(x.Logits, "R", onnx.Sized(d.classes))
		output(x.Deltas, "R", onnx.Sized(4*d.classes))
	}
	if x := s.Detect.Mask; x != nil {
		input(x.Features, "D", onnx.Sized(d.channels), onnx.Sized(x.Size), onnx.Sized(x.Size))
		output(x.Logits, "D", onnx.Sized(d.classes), onnx.Sized(x.Out), onnx.Sized(x.Out))
	}
}
