package onnx

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Normalize returns the model with the normalisation that its Spec asks for in the
// graph, in front of all other nodes: the clamp, then the mean and the standard
// deviation. Input and outputs keep their names, types and shapes; the input then
// takes pixels in the Spec's range. A model whose Spec asks for none, or has
// NormalizeOutside set, is returned as it is, and so is one that takes integers,
// which no normalised pixels are.
func (m *Model) Normalize() (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	in, err := m.imageInput()
	if err != nil {
		return nil, err
	}
	if spec.Normalized || spec.NormalizeOutside || in.integer() || len(spec.Mean)+len(spec.Std)+len(spec.Clamp) == 0 {
		return m, nil
	}
	for _, n := range m.Proto.Graph.Node {
		if slices.Contains(valuesRead(n), in.name) && !slices.Contains(n.Input, in.name) {
			return nil, fmt.Errorf("onnx: %q: normalise in the graph: the subgraph of node %q reads the input: %w", m.Name(), nodeName(n), ErrFormat)
		}
	}
	b := &normalizer{from: in, taken: map[string]bool{}, opset: m.Opset(), last: in.name}
	names(m.Proto.Graph, b.taken)
	b.build(spec)
	c, err := m.Rename(map[string]string{in.name: b.last})
	if err != nil {
		return nil, err
	}
	g := c.Proto.Graph
	for _, v := range g.Input {
		if v.Name == b.last {
			v.Name = in.name
		}
	}
	g.ValueInfo = filter(g.ValueInfo, func(v *pb.ValueInfoProto) bool { return v.Name != b.last })
	g.Node = append(b.nodes, g.Node...)
	g.Initializer = append(g.Initializer, b.constants...)
	spec.Normalized, spec.Mean, spec.Std, spec.Clamp = true, nil, nil, nil
	spec.NormNodes = nil
	for _, n := range b.nodes {
		spec.NormNodes = append(spec.NormNodes, n.Name)
	}
	return c.WithSpec(spec)
}

// normalizer builds the nodes of a normalisation.
type normalizer struct {
	from      imageInput
	taken     map[string]bool // names of the graph
	opset     int64
	last      string // the value that the nodes compute so far
	nodes     []*pb.NodeProto
	constants []*pb.TensorProto
}

// build computes in float32, whatever the type of the input.
func (b *normalizer) build(s Spec) {
	if b.from.dtype != pb.TensorProto_FLOAT {
		b.step("Cast", "normalize/float", nil, Int("to", int64(pb.TensorProto_FLOAT)))
	}
	switch {
	case len(s.Clamp) != 2:
	case b.opset < 11:
		b.step("Clip", "normalize/clip", nil, Float("min", float32(s.Clamp[0])), Float("max", float32(s.Clamp[1])))
	default:
		b.step("Clip", "normalize/clip", []*pb.TensorProto{b.constant("normalize/low", nil, s.Clamp[0]), b.constant("normalize/high", nil, s.Clamp[1])})
	}
	shape := func(v []float64) []int64 {
		if b.from.layout == "nhwc" {
			return []int64{1, 1, 1, int64(len(v))}
		}
		return []int64{1, int64(len(v)), 1, 1}
	}
	if len(s.Mean) > 0 {
		b.step("Sub", "normalize/sub", []*pb.TensorProto{b.constant("normalize/mean", shape(s.Mean), s.Mean...)})
	}
	if len(s.Std) > 0 {
		b.step("Div", "normalize/div", []*pb.TensorProto{b.constant("normalize/std", shape(s.Std), s.Std...)})
	}
	if b.from.dtype != pb.TensorProto_FLOAT {
		b.step("Cast", "normalize/cast", nil, Int("to", int64(b.from.dtype)))
	}
}

func (b *normalizer) constant(name string, dims []int64, v ...float64) *pb.TensorProto {
	t := NewFloats(freshName(b.taken, name), dims, v...)
	b.constants = append(b.constants, t)
	return t
}

// step appends a node that reads the last value and constants.
func (b *normalizer) step(op, name string, constants []*pb.TensorProto, attributes ...*pb.AttributeProto) {
	inputs := []string{b.last}
	for _, t := range constants {
		inputs = append(inputs, t.Name)
	}
	b.last = freshName(b.taken, name)
	b.nodes = append(b.nodes, NewNode(op, b.last, inputs, attributes...))
}
