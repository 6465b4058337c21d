package onnx

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ImageConfig says what the outputs of ForImages are.
type ImageConfig struct {
	Outputs []string // values of the graph; empty: the Spec's feature
	Pool    bool     // average outputs [N,C,H,W] over H and W
}

// ForImages returns the graph that a session runs over images: its one input is
// "images", uint8 [N,H,W,3] in RGB, and its outputs are float32. A few nodes in
// front of the model do what the Spec asks for: value range, clamping, mean and
// std (as one multiplication and one addition), channel order or shades of grey,
// layout and type.
//
// Errors wrap [ErrNoImageInput] or [ErrInputs] where the model's inputs are others,
// and [ErrSpec] where its image input is not as the Spec says; a value that the
// graph does not have is a [*ValueError].
func (m *Model) ForImages(spec Spec, c ImageConfig) (*Model, error) {
	in, err := m.imageInput()
	if err != nil {
		return nil, err
	}
	outputs := c.Outputs
	if len(outputs) == 0 {
		feature, err := m.Feature(spec)
		if err != nil {
			return nil, err
		}
		outputs = []string{feature}
	}
	cut, err := m.Cut(outputs...)
	if err != nil {
		return nil, err
	}
	b := &preprocessor{model: cut, spec: spec, prefix: freshPrefix(cut.Proto.Graph), opset: m.Opset()}
	if err := b.build(in); err != nil {
		return nil, err
	}
	if err := b.removeOtherInputs(); err != nil {
		return nil, err
	}
	b.finishOutputs(c.Pool)
	cut.Proto.MetadataProps = nil
	return cut, nil
}

// freshPrefix returns a prefix that no value's name begins with.
func freshPrefix(g *pb.GraphProto) string {
	name := "rtx/"
	for slices.ContainsFunc(g.Node, func(n *pb.NodeProto) bool {
		return slices.ContainsFunc(append(slices.Clone(n.Input), n.Output...), func(v string) bool { return strings.HasPrefix(v, name) })
	}) {
		name += "x/"
	}
	return name
}

// preprocessor builds the nodes in front of a model.
type preprocessor struct {
	model  *Model
	spec   Spec
	prefix string // of the names of its values
	opset  int64
	nodes  []*pb.NodeProto
	last   string // the value that they compute so far
	input  string // the model's image input, which they compute in the end
}

// add appends a node that computes the next value.
func (b *preprocessor) add(op string, inputs []string, attributes ...*pb.AttributeProto) {
	out := fmt.Sprintf("%s%d", b.prefix, len(b.nodes))
	b.nodes = append(b.nodes, NewNode(op, out, inputs, attributes...))
	b.last = out
}

// constant adds an initializer and returns its name.
func (b *preprocessor) constant(t *pb.TensorProto) string {
	t.Name = fmt.Sprintf("%sc%d", b.prefix, len(b.model.Proto.Graph.Initializer))
	b.model.Proto.Graph.Initializer = append(slices.Clip(b.model.Proto.Graph.Initializer), t)
	return t.Name
}

func (b *preprocessor) build(in imageInput) error {
	s, g := b.spec, b.model.Proto.Graph
	if err := in.check(s); err != nil {
		return err
	}
	b.last = b.prefix + "images"
	if in.name != "images" && !usesName(g, "images") {
		b.last = "images"
	}
	images := b.last
	shape := []int64{1, 1, 1, 1}
	axis := int64(in.axis())
	shape[axis] = int64(in.channels)
	if in.layout == "nchw" {
		b.add("Transpose", []string{b.last}, Ints("perm", 0, 3, 1, 2))
	}
	if s.Channels == "bgr" {
		b.add("Gather", []string{b.last, b.constant(NewInts("", 2, 1, 0))}, Int("axis", axis))
	}
	b.add("Cast", []string{b.last}, Int("to", int64(pb.TensorProto_FLOAT)))
	if s.Channels == "grey" {
		b.luma(axis)
	}
	b.scale(shape)
	if in.dtype != pb.TensorProto_FLOAT {
		b.add("Cast", []string{b.last}, Int("to", int64(in.dtype)))
	}
	b.connect(in.name, images)
	return nil
}

// luma makes shades of grey of RGB, rounded as package pixels and Pillow do it: the
// sums are of integers below 2^24, which float32 holds exactly. Grey pixels of three
// equal bytes stay as they are.
func (b *preprocessor) luma(axis int64) {
	shape := []int64{1, 1, 1, 1}
	shape[axis] = 3
	b.add("Mul", []string{b.last, b.constant(NewFloats("", shape, 19595, 38470, 7471))})
	if b.opset >= 13 {
		b.add("ReduceSum", []string{b.last, b.constant(NewInts("", axis))}, Int("keepdims", 1))
	} else {
		b.add("ReduceSum", []string{b.last}, Ints("axes", axis), Int("keepdims", 1))
	}
	b.add("Add", []string{b.last, b.constant(NewFloats("", nil, 1<<15))})
	b.add("Mul", []string{b.last, b.constant(NewFloats("", nil, 1.0/(1<<16)))})
	b.add("Floor", []string{b.last})
}

// scale brings pixels to the Spec's range, and clamps and normalises them.
func (b *preprocessor) scale(shape []int64) {
	s, channels := b.spec, b.spec.ChannelCount()
	mul, sum := slices.Repeat([]float64{(s.Range[1] - s.Range[0]) / 255}, channels), slices.Repeat([]float64{s.Range[0]}, channels)
	if len(s.Clamp) == 2 && (s.Clamp[0] > s.Range[0] || s.Clamp[1] < s.Range[1]) {
		b.affine(mul, sum, shape)
		b.clip(s.Clamp[0], s.Clamp[1])
		mul, sum = slices.Repeat([]float64{1}, channels), make([]float64, channels)
	}
	if !s.Normalized {
		for c := range channels {
			if len(s.Mean) == channels {
				sum[c] -= s.Mean[c]
			}
			if len(s.Std) == channels {
				mul[c] /= s.Std[c]
				sum[c] /= s.Std[c]
			}
		}
	}
	b.affine(mul, sum, shape)
}

// usesName tells whether a node of the graph reads or computes a value of the name.
func usesName(g *pb.GraphProto, name string) bool {
	return slices.ContainsFunc(g.Node, func(n *pb.NodeProto) bool { return slices.Contains(n.Input, name) || slices.Contains(n.Output, name) })
}

// affine multiplies and adds a number for each channel, where that changes
// anything.
func (b *preprocessor) affine(mul, sum []float64, shape []int64) {
	if slices.ContainsFunc(mul, func(x float64) bool { return x != 1 }) {
		b.add("Mul", []string{b.last, b.constant(NewFloats("", shape, mul...))})
	}
	if slices.ContainsFunc(sum, func(x float64) bool { return x != 0 }) {
		b.add("Add", []string{b.last, b.constant(NewFloats("", shape, sum...))})
	}
}

func (b *preprocessor) clip(low, high float64) {
	if b.opset < 11 {
		b.add("Clip", []string{b.last}, Float("min", float32(low)), Float("max", float32(high)))
		return
	}
	b.add("Clip", []string{b.last, b.constant(NewFloats("", nil, low)), b.constant(NewFloats("", nil, high))})
}

// connect makes the last node compute what was the model's input, and images the
// input instead.
func (b *preprocessor) connect(input, images string) {
	g := b.model.Proto.Graph
	b.nodes[len(b.nodes)-1].Output[0] = input
	b.input = input
	g.Node = append(b.nodes, g.Node...)
	h, w := b.spec.InputSize[0], b.spec.InputSize[1]
	kept := filter(g.Input, func(v *pb.ValueInfoProto) bool { return v.Name != input })
	g.Input = append([]*pb.ValueInfoProto{NewValue(images, pb.TensorProto_UINT8, Named("N"), Sized(h), Sized(w), Sized(3))}, kept...)
	g.ValueInfo = nil // its shapes may be those of a fixed batch
}

// removeOtherInputs removes the inputs that nothing reads. All others are an error.
func (b *preprocessor) removeOtherInputs() error {
	g := b.model.Proto.Graph
	read := map[string]bool{}
	for _, n := range g.Node {
		for _, v := range valuesRead(n) {
			read[v] = true
		}
	}
	others := map[string]bool{}
	for _, v := range b.model.Inputs()[1:] {
		if read[v.Name] {
			return fmt.Errorf("onnx: images go to the input %q, and the model needs the input %s, too: %w", b.input, v, ErrInputs)
		}
		others[v.Name] = true
	}
	g.Input = filter(g.Input, func(v *pb.ValueInfoProto) bool { return !others[v.Name] })
	return nil
}

// finishOutputs makes the outputs float32 and of any batch size, and pools maps
// where that is asked for.
func (b *preprocessor) finishOutputs(pool bool) {
	g := b.model.Proto.Graph
	for i, p := range g.Output {
		v := valueOf(p)
		name := v.Name
		if q, ok := b.model.quantization(name); ok {
			q.dequantize(g, name, name+"/float")
			name, v.DType = name+"/float", pb.TensorProto_FLOAT
		}
		if pool && len(v.Shape) == 4 {
			from := name
			name = fmt.Sprintf("%spool%d", b.prefix, i)
			axes := b.model.spatialAxes(v.Name, b.input, b.spec.Layout)
			node := NewNode("ReduceMean", name, []string{from}, Int("keepdims", 0))
			if b.opset >= 18 {
				node.Input = append(node.Input, b.constant(NewInts("", axes...)))
			} else {
				node.Attribute = append(node.Attribute, Ints("axes", axes...))
			}
			g.Node = append(slices.Clip(g.Node), node)
			v.Shape = v.Shape[:2]
		}
		if v.DType != pb.TensorProto_FLOAT {
			g.Node = append(slices.Clip(g.Node), NewNode("Cast", name+"/float", []string{name}, Int("to", int64(pb.TensorProto_FLOAT))))
			name += "/float"
		}
		out := &pb.ValueInfoProto{Name: name, Type: tensorType(pb.TensorProto_FLOAT, nil)}
		g.Output[i] = proto.CloneOf(out)
	}
}
