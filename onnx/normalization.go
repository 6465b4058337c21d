package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

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
		return fmt.Errorf("onnx: %q normalises its input, and does not say by which nodes", m.Name())
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
			return fmt.Errorf("onnx: %q: the normalisation %q is not a chain of nodes behind the input %q", m.Name(), spec.NormNodes, spec.Input)
		}
		if n.OpType == "Conv" && len(n.Input) > 1 {
			if order, _ := m.arrays().pixelKernel(n, 3); !slices.IsSorted(order) {
				return fmt.Errorf("onnx: %q: node %q of the normalisation changes the order of the channels, too", m.Name(), nodeName(n))
			}
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
