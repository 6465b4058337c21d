package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// WithoutNormalization returns the model without the normalisation in its graph,
// and a Spec that asks for none: its input is pixels in [0,1], as they are. A
// model whose Spec does not say which nodes normalise is refused.
func (m *Model) WithoutNormalization() (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	c := m.shallow()
	if spec.Normalized {
		if len(spec.NormNodes) == 0 {
			return nil, fmt.Errorf("onnx: %q normalises its input, and does not say by which nodes", m.path)
		}
		g := c.Proto.Graph
		value := spec.Input
		var kept []*pb.NodeProto
		for _, n := range g.Node {
			name := n.Name
			if name == "" && len(n.Output) > 0 {
				name = n.Output[0]
			}
			if slices.Contains(spec.NormNodes, name) || len(n.Output) > 0 && slices.Contains(spec.NormNodes, n.Output[0]) {
				if n.Input[0] != value || len(n.Output) != 1 {
					return nil, fmt.Errorf("onnx: %q: the normalisation %q is no chain from the input %q on", m.path, spec.NormNodes, spec.Input)
				}
				value = n.Output[0]
				continue
			}
			kept = append(kept, n)
		}
		g.Node = nil
		for _, n := range kept {
			if slices.Contains(n.Input, value) {
				n = proto.CloneOf(n)
				for i, v := range n.Input {
					if v == value {
						n.Input[i] = spec.Input
					}
				}
			}
			g.Node = append(g.Node, n)
		}
		c.prune()
	}
	spec.Normalized, spec.NormNodes, spec.Mean, spec.Std, spec.Clamp, spec.Range = false, nil, nil, nil, nil, [2]float64{0, 1}
	return c.WithSpec(spec)
}
