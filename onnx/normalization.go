package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// normalization names the nodes by which the graph normalises its input: a chain
// of operators with constants that begins at the input, possibly with
// transpositions in between, and in which at least one constant has a value for
// each channel.
func (m *Model) normalization(in imageInput) []string {
	readers := map[string][]*pb.NodeProto{}
	for _, n := range m.Proto.Graph.Node {
		for _, v := range n.Input {
			readers[v] = append(readers[v], n)
		}
	}
	var names []string
	perChannel := false
	value := in.name
	for range m.Proto.Graph.Node { // a damaged graph may have cycles
		if len(readers[value]) != 1 {
			break
		}
		n := readers[value][0]
		if len(n.Output) == 0 {
			return nil
		}
		if n.OpType == "Transpose" {
			value = n.Output[0]
			continue
		}
		channels, ok := m.normalizes(n, value)
		if !ok {
			break
		}
		perChannel = perChannel || channels
		names = append(names, nodeName(n))
		value = n.Output[0]
	}
	if !perChannel {
		return nil
	}
	return names
}

// normalizes tells whether a node may be part of a normalisation of value, and
// whether it has a constant for each channel.
func (m *Model) normalizes(n *pb.NodeProto, value string) (perChannel, ok bool) {
	switch n.OpType {
	case "Identity", "Cast":
		return false, true
	case "BatchNormalization":
		return true, true
	case "Sub", "Div", "Mul", "Add":
		other := n.Input[0]
		if other == value && len(n.Input) > 1 {
			other = n.Input[1]
		}
		size := m.constantSize(other)
		return size == 3, size == 1 || size == 3
	}
	return false, false
}

// WithoutNormalization returns the model without the normalisation in its graph,
// and with a Spec that asks for none: its input is pixels in [0,1]. A model that
// normalises its input, and whose Spec does not say by which nodes, is an error.
func (m *Model) WithoutNormalization() (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	c := m.shallow()
	if spec.Normalized {
		if err := c.removeNormalization(spec); err != nil {
			return nil, err
		}
	}
	spec.Normalized, spec.NormNodes, spec.Mean, spec.Std, spec.Clamp, spec.Range = false, nil, nil, nil, nil, [2]float64{0, 1}
	return c.WithSpec(spec)
}

// removeNormalization removes the nodes that a Spec names.
func (m *Model) removeNormalization(spec Spec) error {
	if len(spec.NormNodes) == 0 {
		return fmt.Errorf("onnx: %q normalises its input, and does not say by which nodes", m.path)
	}
	g := m.Proto.Graph
	last := spec.Input // of the chain, so far
	var kept []*pb.NodeProto
	for _, n := range g.Node {
		if !slices.Contains(spec.NormNodes, nodeName(n)) && (len(n.Output) == 0 || !slices.Contains(spec.NormNodes, n.Output[0])) {
			kept = append(kept, n)
			continue
		}
		if len(n.Input) == 0 || n.Input[0] != last || len(n.Output) != 1 {
			return fmt.Errorf("onnx: %q: the normalisation %q is not a chain of nodes behind the input %q", m.path, spec.NormNodes, spec.Input)
		}
		last = n.Output[0]
	}
	g.Node = nil
	for _, n := range kept {
		if slices.Contains(n.Input, last) {
			n = proto.CloneOf(n)
			for i, v := range n.Input {
				if v == last {
					n.Input[i] = spec.Input
				}
			}
		}
		g.Node = append(g.Node, n)
	}
	m.prune()
	return nil
}
