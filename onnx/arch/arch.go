package arch

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// architecture is a network, as the sequence of its layers, and the input that
// its published weights expect.
type architecture struct {
	name      string
	size      int       // height and width of its images
	mean, std []float64 // of its images, in [0,1]; nil: normalisation is part of the network
	build     func(*builder)
	init      initialisation
	alias     func(string) string // the name of a tensor that has another one in some checkpoints; nil: none has
}

// imageNet is an architecture for ImageNet's images of 224x224.
func imageNet(name string, init initialisation, build func(*builder)) architecture {
	return architecture{name: name, size: 224, mean: onnx.ImageNetMean, std: onnx.ImageNetStd, init: init, build: build}
}

// small is an architecture for images of 32x32.
func small(name string, mean, std []float64, init initialisation, build func(*builder)) architecture {
	return architecture{name: name, size: 32, mean: mean, std: std, init: init, build: build}
}

var architectures = slices.Concat(resnets, []architecture{
	{name: "densenet161", size: 224, mean: onnx.ImageNetMean, std: onnx.ImageNetStd, init: denseInit, build: densenet161, alias: currentName},
	imageNet("vgg16_bn", mobileInit, vgg16),
	imageNet("mobilenet_v2", mobileInit, mobilenetV2),
	imageNet("shufflenet_v2_x1_0", defaultInit, shufflenet),
	imageNet("mnasnet1_0", mnasInit, mnasnet),
}, cifars, []architecture{
	small("resnet2b", cifarMean, []float64{0.2471, 0.2435, 0.2616}, defaultInit, resnet2b),
	small("resnet8", nil, nil, defaultInit, resnet8),
})

// Names lists the architectures, by the names that Build, Untrained and
// Synthetic take and Recognize returns: torchvision's, or "cifar_" and the name.
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

// define builds the layers for images of a size, height and width; zero is the
// architecture's own. Of no classes, the network has no head.
func (a architecture) define(classes int, size [2]int) (*builder, error) {
	if size == [2]int{} {
		size = [2]int{a.size, a.size}
	}
	b := &builder{classes: classes, size: size, eps: defaultEps, shapes: map[string][3]int{"images": {3, size[0], size[1]}}}
	if min(size[0], size[1]) < 1 || max(size[0], size[1]) > 1<<14 {
		b.fail("expected 1 to %d", 1<<14)
	} else {
		a.build(b)
		b.module = b.headModule()
	}
	if b.err != nil {
		return nil, fmt.Errorf("arch: %s: %w", a.name, b.err)
	}
	return b, nil
}

// Synthetic builds a network with made-up weights, for tests and benchmarks that
// need the structure of a network and numbers of a sane magnitude. A weight is a
// hash of its tensor's name and its index, the same here and in testdata/rule.py,
// so that a Python oracle can make the same network. Convolutions have He's
// scale, batch norms have statistics other than 0 and 1. Images have the
// architecture's size.
//
// A name of Detectors makes a detector; the classes of a two-stage detector include the
// background, as in torchvision. "tiny" in the place of the trunk's name makes a small
// one.
func Synthetic(name string, classes int) (*onnx.Model, error) {
	if d, ok := detectorNamed(name, classes); ok && classes > 0 {
		return syntheticDetector(d)
	}
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

// initializer adds an initializer for a parameter, still without values.
func initializer(m *onnx.Model, p param) *pb.TensorProto {
	t := &pb.TensorProto{Name: p.name, Dims: p.dims, DataType: int32(pb.TensorProto_FLOAT)}
	m.Proto.Graph.Initializer = append(m.Proto.Graph.Initializer, t)
	return t
}

// Config says what the tensors of a checkpoint do not. The zero value is the
// default.
type Config struct {
	InputSize [2]int    // height and width; zero: the architecture's, 224x224 or 32x32
	Mean, Std []float64 // of images in [0,1], 3 values each; nil: what the architecture's published weights expect
	Clamp     []float64 // low and high, applied before normalisation; nil: none
	Normalize bool      // clamp and normalise in the graph, by nodes "normalize/..."; else the Spec asks the caller to
	Labels    []string  // names of the classes, in the order of the logits; nil: not known
	Headless  bool      // Build: the tensors are those of the network without its last linear layer, and the model's only output is the features

	// BatchNormEps is what the frozen batch norms of a detector add to variances. No
	// file says it. Nil: 1e-5, as they do by default in torchvision and Detectron2;
	// the weights COCO_V1 that torchvision released for its first versions of Faster
	// R-CNN, Mask R-CNN and RetinaNet are run with 0.
	BatchNormEps *float64
}

// Build makes a model of an architecture from the tensors of its state_dict.
// They must be exactly those of the network, for any number of classes;
// otherwise the error is a *Mismatch. A prefix common to all names, such as
// "module.", is ignored. Values of float16, bfloat16 and float64 become float32;
// only float64 is rounded.
//
// Tensors are read when the model is saved or run, so what they read from must
// stay open until then. What an initializer cannot express, namely
// num_batches_tracked and the checkpoint's own names and types, goes into the
// Spec, and the order of initializers is that of the tensors: Weights gives all
// of it back.
//
// Of a detector, see Detectors, tensors may have torchvision's names, also those of
// its first versions, or Detectron2's. The Spec's Detect then says what the graph
// computes; small tensors beside the layers, such as anchors, are read and kept in
// the Spec, too.
func Build(name string, tensors []onnx.Tensor, c Config) (*onnx.Model, error) {
	if isDetector(name) {
		f, ok := findDetector(tensors)
		if !ok {
			return nil, fmt.Errorf("arch: %s: the tensors have no heads of a detector", name)
		}
		f, err := f.as(name)
		if err != nil {
			return nil, err
		}
		return buildDetector(f, c)
	}
	a, err := find(name)
	if err != nil {
		return nil, err
	}
	classes := a.classes(tensors)
	if c.Headless {
		classes = 0
	}
	b, err := a.define(classes, c.InputSize)
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

// labelled writes the names of the classes, if known, into the metadata.
func (c Config) labelled(m *onnx.Model) (*onnx.Model, error) {
	if c.Labels == nil {
		return m, nil
	}
	text, err := json.Marshal(c.Labels)
	if err != nil {
		return nil, fmt.Errorf("arch: labels: %w", err)
	}
	return m.WithMetadata(onnx.ClassesKey, string(text)), nil
}

func (c Config) check(a architecture, b *builder) error {
	if c.Labels != nil && len(c.Labels) != b.classes {
		return fmt.Errorf("%d labels, expected %d, one for each class", len(c.Labels), b.classes)
	}
	if c.Mean != nil && b.normNodes != nil {
		return fmt.Errorf("mean and std: the network normalises its input itself, by its buffers")
	}
	return c.checkPixels()
}

// checkPixels looks at the normalisation.
func (c Config) checkPixels() error {
	if (c.Mean == nil) != (c.Std == nil) || c.Mean != nil && (len(c.Mean) != 3 || len(c.Std) != 3) {
		return fmt.Errorf("%d values of mean and %d of std, expected 3 each", len(c.Mean), len(c.Std))
	}
	if slices.Contains(c.Std, 0) {
		return fmt.Errorf("a zero in std %v", c.Std)
	}
	if c.Clamp != nil && (len(c.Clamp) != 2 || c.Clamp[0] > c.Clamp[1]) {
		return fmt.Errorf("clamp is %v, expected low, high", c.Clamp)
	}
	return nil
}
