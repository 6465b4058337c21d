package detect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Core returns the core that a detector was deployed from. Of DeployConfig it keeps
// what the Spec's Test says. A model that is not deployed is returned as it is.
func Core(m *onnx.Model) (*onnx.Model, error) {
	spec, err := specOf(m)
	if err != nil {
		return nil, err
	}
	if spec.Detect.Deployed == nil {
		return m, nil
	}
	if len(m.Proto.Graph.Input) == 0 {
		return nil, fmt.Errorf("detect: %q has no input: %w", m.Name(), onnx.ErrFormat)
	}
	core, behind := spec.Detect.Deployed.Core, spec.Input
	spec.Range, spec.Channels, spec.Mean, spec.Std, spec.Clamp, spec.Normalized = core.Range, core.Channels, core.Mean, core.Std, core.Clamp, core.Normalized
	if spec.Normalized {
		if behind, err = normalizedValue(m, spec); err != nil {
			return nil, err
		}
	}
	c, err := m.Rename(nil)
	if err != nil {
		return nil, err
	}
	g := c.Proto.Graph
	g.Node = slices.DeleteFunc(g.Node, func(n *pb.NodeProto) bool { return strings.HasPrefix(n.Name, own) })
	g.Initializer = slices.DeleteFunc(g.Initializer, func(t *pb.TensorProto) bool { return strings.HasPrefix(t.Name, own) })
	for _, n := range g.Node {
		for i, in := range n.Input {
			if in == own+"images" {
				n.Input[i] = behind
			} else if strings.HasPrefix(in, own) { // what was converted, for the node that normalises
				n.Input[i] = spec.Input
			}
		}
	}
	d := *spec.Detect
	restoreValues(g, &d, core.Outputs)
	d.Images.Inside, d.Deployed = false, nil
	spec.Detect = &d
	if bad := c.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("detect: %q has no core: %s: %w", m.Name(), bad[0], onnx.ErrFormat)
	}
	c.Proto.MetadataProps = slices.DeleteFunc(c.Proto.MetadataProps, func(e *pb.StringStringEntryProto) bool { return e.Key == onnx.ClassesKey })
	return c.WithSpec(spec)
}

// restoreValues makes inputs and outputs of the values that were those of the core.
func restoreValues(g *pb.GraphProto, d *onnx.Detect, outputs []string) {
	known := map[string]*pb.ValueInfoProto{}
	for _, v := range g.ValueInfo {
		known[v.Name] = v
	}
	inputs := []string{}
	if d.Box != nil {
		inputs = append(inputs, d.Box.Features)
	}
	if d.Mask != nil {
		inputs = append(inputs, d.Mask.Features)
	}
	describe := func(name string) *pb.ValueInfoProto {
		if v := known[name]; v != nil {
			return v
		}
		return onnx.NewValue(name, pb.TensorProto_FLOAT)
	}
	g.Input[0] = onnx.NewValue(g.Input[0].Name, pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Named("H"), onnx.Named("W"))
	for _, name := range inputs {
		g.Input = append(g.Input, describe(name))
	}
	g.Output = nil
	for _, name := range outputs {
		g.Output = append(g.Output, describe(name))
	}
	g.ValueInfo = slices.DeleteFunc(g.ValueInfo, func(v *pb.ValueInfoProto) bool {
		return slices.Contains(inputs, v.Name) || slices.Contains(outputs, v.Name)
	})
}
