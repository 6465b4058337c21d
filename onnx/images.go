package onnx

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ImageConfig says which values ForImages makes outputs, and how.
type ImageConfig struct {
	Outputs []string // empty: the Spec's feature
	Pool    bool     // average 4-D outputs over space
}

// ForImages returns the graph that a session runs: its one input is "images",
// uint8 [N,H,W,3] RGB, its outputs are float32. What the Spec asks for is done
// by a few nodes in front of the model: the value range, clamping, mean and
// std as one multiplication and one addition, channel order, layout, type.
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
	b := &prefix{model: cut, spec: spec, name: fresh(cut.Proto.Graph), opset: m.Opset()}
	if err := b.build(in); err != nil {
		return nil, err
	}
	if err := b.alone(); err != nil {
		return nil, err
	}
	if err := b.finish(c.Pool); err != nil {
		return nil, err
	}
	cut.Proto.MetadataProps = nil
	return cut, nil
}

// fresh returns a prefix that no value of the graph begins with.
func fresh(g *pb.GraphProto) string {
	name := "rtx/"
	for slices.ContainsFunc(g.Node, func(n *pb.NodeProto) bool {
		return slices.ContainsFunc(append(slices.Clone(n.Input), n.Output...), func(v string) bool { return strings.HasPrefix(v, name) })
	}) {
		name += "x/"
	}
	return name
}

// prefix builds the nodes in front of a model.
type prefix struct {
	model *Model
	spec  Spec
	name  string
	opset int64
	nodes []*pb.NodeProto
	last  string
	input string // the model's, which the prefix makes
}

func (b *prefix) add(op string, inputs []string, attributes ...*pb.AttributeProto) {
	out := fmt.Sprintf("%s%d", b.name, len(b.nodes))
	b.nodes = append(b.nodes, NewNode(op, out, inputs, attributes...))
	b.last = out
}

// constant adds an initializer and returns its name.
func (b *prefix) constant(t *pb.TensorProto) string {
	t.Name = fmt.Sprintf("%sc%d", b.name, len(b.model.Proto.Graph.Initializer))
	b.model.Proto.Graph.Initializer = append(slices.Clip(b.model.Proto.Graph.Initializer), t)
	return t.Name
}

func (b *prefix) build(in image) error {
	s, g := b.spec, b.model.Proto.Graph
	if s.Layout != in.layout {
		return fmt.Errorf("onnx: the spec's layout is %q, the model's input %q is %q: %w", s.Layout, in.name, in.layout, ErrSpec)
	}
	if !in.dynamic && (s.InputSize[0] != in.height || s.InputSize[1] != in.width) {
		return fmt.Errorf("onnx: input size %dx%d, the model takes %dx%d only: %w", s.InputSize[0], s.InputSize[1], in.height, in.width, ErrSpec)
	}
	b.last = b.name + "images"
	if in.name != "images" && !usesName(g, "images") {
		b.last = "images"
	}
	images := b.last
	axis, shape := int64(3), []int64{1, 1, 1, 3}
	if in.layout == "nchw" {
		axis, shape = 1, []int64{1, 3, 1, 1}
		b.add("Transpose", []string{b.last}, Ints("perm", 0, 3, 1, 2))
	}
	if s.Channels == "bgr" {
		b.add("Gather", []string{b.last, b.constant(NewInts("", 2, 1, 0))}, Int("axis", axis))
	}
	b.add("Cast", []string{b.last}, Int("to", int64(pb.TensorProto_FLOAT)))
	mul, sum := [3]float64{}, [3]float64{}
	for c := range 3 {
		mul[c], sum[c] = (s.Range[1]-s.Range[0])/255, s.Range[0]
	}
	if len(s.Clamp) == 2 && (s.Clamp[0] > s.Range[0] || s.Clamp[1] < s.Range[1]) {
		b.affine(mul, sum, shape)
		b.clip(s.Clamp[0], s.Clamp[1])
		mul, sum = [3]float64{1, 1, 1}, [3]float64{}
	}
	if !s.Normalized {
		for c := range 3 {
			if len(s.Mean) == 3 {
				sum[c] -= s.Mean[c]
			}
			if len(s.Std) == 3 {
				mul[c] /= s.Std[c]
				sum[c] /= s.Std[c]
			}
		}
	}
	b.affine(mul, sum, shape)
	if in.dtype != pb.TensorProto_FLOAT {
		b.add("Cast", []string{b.last}, Int("to", int64(in.dtype)))
	}
	b.connect(in.name, images)
	return nil
}

func usesName(g *pb.GraphProto, name string) bool {
	return slices.ContainsFunc(g.Node, func(n *pb.NodeProto) bool { return slices.Contains(n.Input, name) || slices.Contains(n.Output, name) })
}

// affine multiplies and adds per channel, where that changes anything.
func (b *prefix) affine(mul, sum [3]float64, shape []int64) {
	if mul != [3]float64{1, 1, 1} {
		b.add("Mul", []string{b.last, b.constant(NewFloats("", shape, mul[:]...))})
	}
	if sum != [3]float64{} {
		b.add("Add", []string{b.last, b.constant(NewFloats("", shape, sum[:]...))})
	}
}

func (b *prefix) clip(low, high float64) {
	if b.opset < 11 {
		b.add("Clip", []string{b.last}, Float("min", float32(low)), Float("max", float32(high)))
		return
	}
	b.add("Clip", []string{b.last, b.constant(NewFloats("", nil, low)), b.constant(NewFloats("", nil, high))})
}

// connect lets the model read the prefix instead of its input.
func (b *prefix) connect(input, images string) {
	g := b.model.Proto.Graph
	b.nodes[len(b.nodes)-1].Output[0] = input
	b.input = input
	g.Node = append(b.nodes, g.Node...)
	h, w := b.spec.InputSize[0], b.spec.InputSize[1]
	kept := filter(g.Input, func(v *pb.ValueInfoProto) bool { return v.Name != input })
	g.Input = append([]*pb.ValueInfoProto{NewValue(images, pb.TensorProto_UINT8, Named("N"), Sized(h), Sized(w), Sized(3))}, kept...)
	g.ValueInfo = nil // shapes of a fixed batch would no longer hold
}

// alone takes out the other inputs, which nothing may read.
func (b *prefix) alone() error {
	g := b.model.Proto.Graph
	read := map[string]bool{}
	for _, n := range g.Node {
		for _, v := range outerValues(n) {
			read[v] = true
		}
	}
	others := map[string]bool{}
	for _, v := range b.model.Inputs()[1:] {
		if read[v.Name] {
			return fmt.Errorf("onnx: the model needs the input %s, too: %w", v, ErrInputs)
		}
		others[v.Name] = true
	}
	g.Input = filter(g.Input, func(v *pb.ValueInfoProto) bool { return !others[v.Name] })
	return nil
}

// finish makes the outputs what was promised: pooled where asked, float32, of
// any batch size.
func (b *prefix) finish(pool bool) error {
	g := b.model.Proto.Graph
	for i, p := range g.Output {
		v := valueOf(p)
		name := v.Name
		if pool && len(v.Shape) == 4 {
			name = fmt.Sprintf("%spool%d", b.name, i)
			axes := b.model.space(v.Name, b.input, b.spec.Layout)
			node := NewNode("ReduceMean", name, []string{v.Name}, Int("keepdims", 0))
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
	return nil
}

// space is the axes of height and width of a 4-D value of a model whose image
// input has a layout: 1 and 2 for what comes of an input [N,H,W,C], or of a
// transposition to that. Convolutions and poolings are always [N,C,H,W], also
// in models whose input is not.
func (m *Model) space(value, input, layout string) []int64 {
	first, last := []int64{2, 3}, []int64{1, 2}
	producer := map[string]*pb.NodeProto{}
	for _, n := range m.Proto.Graph.Node {
		for _, o := range n.Output {
			producer[o] = n
		}
	}
	for range m.Proto.Graph.Node { // a damaged graph may lead in circles
		n := producer[value]
		switch {
		case value == input && layout == "nhwc":
			return last
		case value == input || n == nil:
			return first
		case n.OpType == "Transpose" && slices.Equal(attribute(n, "perm").GetInts(), []int64{0, 2, 3, 1}):
			return last
		case n.OpType == "Transpose" || n.OpType == "BatchNormalization" || strings.Contains(n.OpType, "Conv") || strings.Contains(n.OpType, "Pool"):
			return first
		}
		value = "" // the first operand that is no constant
		for _, v := range n.Input {
			if p := producer[v]; value == "" && (v == input || p != nil && p.OpType != "Constant") {
				value = v
			}
		}
	}
	return first
}

// Rank is the number of dimensions of a value, -1 where the file does not say.
func (m *Model) Rank(value string) int {
	g := m.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Output, g.ValueInfo, g.Input} {
		for _, p := range list {
			if v := valueOf(p); p.Name == value && v.Known {
				return len(v.Shape)
			}
		}
	}
	return -1
}

// WithRank returns the model with a value declared as a tensor of some rank
// and open sizes, for files that do not say.
func (m *Model) WithRank(value string, rank int) *Model {
	c := m.shallow()
	dims := make([]*pb.TensorShapeProto_Dimension, rank)
	for i := range dims {
		dims[i] = &pb.TensorShapeProto_Dimension{}
	}
	c.Proto.Graph.ValueInfo = append(slices.Clip(c.Proto.Graph.ValueInfo), NewValue(value, pb.TensorProto_FLOAT, dims...))
	return c
}
