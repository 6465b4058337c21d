package arch

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// architecture is a network as the sequence of its layers, with the input that
// its published weights expect.
type architecture struct {
	name      string
	size      int // height and width
	mean, std []float64
	build     func(*builder)
	start     start               // of its weights, untrained
	alias     func(string) string // the name of a tensor that has two; nil: none has
}

func imageNet(name string, s start, build func(*builder)) architecture {
	return architecture{name: name, size: 224, mean: onnx.ImageNetMean, std: onnx.ImageNetStd, start: s, build: build}
}

func small(name string, mean, std []float64, s start, build func(*builder)) architecture {
	return architecture{name: name, size: 32, mean: mean, std: std, start: s, build: build}
}

var architectures = slices.Concat(resnets, []architecture{
	{name: "densenet161", size: 224, mean: onnx.ImageNetMean, std: onnx.ImageNetStd, start: denseStart, build: densenet161, alias: dotless},
	imageNet("vgg16_bn", mobileStart, vgg16),
	imageNet("mobilenet_v2", mobileStart, mobilenetV2),
	imageNet("shufflenet_v2_x1_0", untouchedStart, shufflenet),
	imageNet("mnasnet1_0", mnasStart, mnasnet),
}, cifars, []architecture{
	small("resnet2b", cifarMean, []float64{0.2471, 0.2435, 0.2616}, untouchedStart, resnet2b),
	small("resnet8", nil, nil, untouchedStart, resnet8),
})

// Names of the architectures.
var Names = func() (names []string) {
	for _, a := range architectures {
		names = append(names, a.name)
	}
	return names
}()

func find(name string) (architecture, error) {
	for _, a := range architectures {
		if a.name == name {
			return a, nil
		}
	}
	return architecture{}, fmt.Errorf("arch: unknown architecture %q, expected one of %q", name, Names)
}

// define runs through the layers; a size of zero is the architecture's.
func (a architecture) define(classes int, size [2]int) (*builder, error) {
	if size == [2]int{} {
		size = [2]int{a.size, a.size}
	}
	b := &builder{classes: classes, size: size, shapes: map[string][3]int{"images": {3, size[0], size[1]}}}
	if min(size[0], size[1]) < 1 || max(size[0], size[1]) > 1<<14 {
		b.fail("expected 1 to %d", 1<<14)
	} else {
		a.build(b)
	}
	if b.err != nil {
		return nil, fmt.Errorf("arch: %s: %w", a.name, b.err)
	}
	return b, nil
}

// Synthetic builds a network with weights by the rule, for images of the
// architecture's size: He's scale for convolutions, and batch-norm statistics
// that are not trivial.
func Synthetic(name string, classes int) (*onnx.Model, error) {
	a, err := find(name)
	if err != nil {
		return nil, err
	}
	if classes < 1 {
		return nil, fmt.Errorf("arch: %d classes", classes)
	}
	b, err := a.define(classes, [2]int{})
	if err != nil {
		return nil, err
	}
	m, spec := a.model(b, Config{})
	for _, p := range b.params {
		p.fill(m, initializer(m, p))
	}
	return m.WithSpec(spec)
}

// initializer adds one for a parameter, without values.
func initializer(m *onnx.Model, p param) *pb.TensorProto {
	t := &pb.TensorProto{Name: p.name, Dims: p.dims, DataType: int32(pb.TensorProto_FLOAT)}
	m.Proto.Graph.Initializer = append(m.Proto.Graph.Initializer, t)
	return t
}

// Config says what the tensors of a checkpoint do not.
type Config struct {
	InputSize [2]int    // height, width; zero: the architecture's, 224 or 32
	Mean, Std []float64 // of images in [0,1], 3 values each; nil: what the architecture's published weights expect
	Clamp     []float64 // low, high, before normalisation; nil: none
	Normalize bool      // clamp and normalise in the graph, by nodes "normalize/..."; else the Spec asks for it
	Labels    []string  // of the classes, in their order; nil: not known
}

// Build makes a model of a checkpoint's tensors, which must be those of the
// network, to the number of classes; a prefix common to all names, such as
// "module.", is left out. Their values are read when the model's are.
// Values of float16, bfloat16 and float64 become float32, the last rounded.
//
// A batch norm's num_batches_tracked, names and types that differ and the order
// go into the Spec, so that Weights can give all of it back. An error about
// tensors is a *Mismatch.
func Build(name string, tensors []onnx.Tensor, c Config) (*onnx.Model, error) {
	a, err := find(name)
	if err != nil {
		return nil, err
	}
	b, err := a.define(a.classes(tensors), c.InputSize)
	if err != nil {
		return nil, err
	}
	prefix, mismatch := a.compare(b, tensors)
	if mismatch != nil {
		return nil, mismatch
	}
	if err := c.check(a, b); err != nil {
		return nil, fmt.Errorf("arch: %s: %w", name, err)
	}
	m, spec := a.model(b, c)
	if err := a.load(m, &spec, b, tensors, len(prefix)); err != nil {
		return nil, fmt.Errorf("arch: %s: %w", name, err)
	}
	if m, err = c.labelled(m); err != nil {
		return nil, err
	}
	return m.WithSpec(spec)
}

// labelled names the classes in the model's metadata, where they are known.
func (c Config) labelled(m *onnx.Model) (*onnx.Model, error) {
	if c.Labels == nil {
		return m, nil
	}
	text, err := json.Marshal(c.Labels)
	if err != nil {
		return nil, fmt.Errorf("arch: labels: %w", err)
	}
	return m.WithMetadata("classes", string(text)), nil
}

func (c Config) check(a architecture, b *builder) error {
	if c.Labels != nil && len(c.Labels) != b.classes {
		return fmt.Errorf("%d labels, expected %d, one for each class", len(c.Labels), b.classes)
	}
	if (c.Mean == nil) != (c.Std == nil) || c.Mean != nil && (len(c.Mean) != 3 || len(c.Std) != 3) {
		return fmt.Errorf("%d values of mean and %d of std, expected 3 each", len(c.Mean), len(c.Std))
	}
	if slices.Contains(c.Std, 0) {
		return fmt.Errorf("a zero in std %v", c.Std)
	}
	if c.Clamp != nil && (len(c.Clamp) != 2 || c.Clamp[0] > c.Clamp[1]) {
		return fmt.Errorf("clamp is %v, expected low, high", c.Clamp)
	}
	if c.Mean != nil && b.own != nil {
		return fmt.Errorf("mean and std: the network normalises its input itself, by its buffers")
	}
	return nil
}

// model puts the graph together, without weights, and its Spec.
func (a architecture) model(b *builder, c Config) (*onnx.Model, onnx.Spec) {
	g := &pb.GraphProto{Name: a.name, Node: b.nodes}
	m := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, ProducerName: "rtx", Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}})
	g.Input = []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(b.size[0]), onnx.Sized(b.size[1]))}
	g.Output = []*pb.ValueInfoProto{
		onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(b.classes)),
		onnx.NewValue("features", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(b.width)),
	}
	for _, s := range b.stages {
		d := b.shapes[s.Value]
		g.ValueInfo = append(g.ValueInfo, onnx.NewValue(s.Value, pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(d[0]), onnx.Sized(d[1]), onnx.Sized(d[2])))
	}
	spec := onnx.Spec{Version: 1, Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw",
		Mean: a.mean, Std: a.std, Clamp: c.Clamp, Normalized: b.own != nil, NormNodes: b.own,
		Input: "images", Feature: "features", Stages: b.stages, Head: &b.last, Labels: c.Labels, Arch: a.name}
	spec.SetSize(b.size[0], b.size[1])
	if c.Mean != nil {
		spec.Mean, spec.Std = c.Mean, c.Std
	}
	if c.Normalize {
		normalize(g, &spec)
	}
	return m, spec
}

// normalize moves what the Spec asks for into the graph, in front of its nodes.
func normalize(g *pb.GraphProto, s *onnx.Spec) {
	x, nodes := "images", []*pb.NodeProto(nil)
	step := func(op, name string, constants ...*pb.TensorProto) {
		inputs := []string{x}
		for _, t := range constants {
			inputs = append(inputs, t.Name)
		}
		g.Initializer = append(g.Initializer, constants...)
		nodes = append(nodes, onnx.NewNode(op, name, inputs))
		s.NormNodes = append(s.NormNodes, name)
		x = name
	}
	if s.Clamp != nil {
		step("Clip", "normalize/clip", onnx.NewFloats("normalize/low", nil, s.Clamp[0]), onnx.NewFloats("normalize/high", nil, s.Clamp[1]))
	}
	if s.Mean != nil {
		step("Sub", "normalize/sub", perChannel("normalize/mean", s.Mean))
		step("Div", "normalize/div", perChannel("normalize/std", s.Std))
	}
	for _, n := range g.Node {
		for i, v := range n.Input {
			if v == "images" {
				n.Input[i] = x
			}
		}
	}
	g.Node = append(nodes, g.Node...)
	s.Normalized, s.Mean, s.Std, s.Clamp = true, nil, nil, nil
}
