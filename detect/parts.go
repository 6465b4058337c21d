package detect

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Parts are the parts of a detector's core as models of their own.
type Parts struct {
	Normalize *onnx.Model // images to normalised images; nil: the Spec says how to normalise
	Trunk     *onnx.Model // normalised images, padded, to what the levels say: features, where regions are taken of them, logits and deltas
	Box       *onnx.Model // features of boxes to logits and deltas; nil: one stage
	Mask      *onnx.Model // features of boxes to logits of masks; nil: none
}

// Split makes the parts of a core.
func Split(core *onnx.Model) (*Parts, error) {
	spec, err := specOf(core)
	if err != nil {
		return nil, err
	}
	d, p := spec.Detect, &Parts{}
	from := spec.Input
	if spec.Normalized {
		if from, err = normalizedValue(core, spec); err != nil {
			return nil, err
		}
		if p.Normalize, err = core.Cut(from); err != nil {
			return nil, err
		}
		p.Normalize.Proto.Graph.Input = inputsOf(p.Normalize, spec.Input)
	}
	if p.Trunk, err = part(core, from, levelValues(d)...); err == nil && d.Box != nil {
		p.Box, err = part(core, d.Box.Features, d.Box.Logits, d.Box.Deltas)
	}
	if err == nil && d.Mask != nil {
		p.Mask, err = part(core, d.Mask.Features, d.Mask.Logits)
	}
	return p, err
}

// normalizedValue is the value of a graph that normalises images behind which nothing
// normalises.
func normalizedValue(m *onnx.Model, spec onnx.Spec) (string, error) {
	if v := spec.Detect.Images.Value; v != "" && v != spec.Input {
		return v, nil
	}
	last := ""
	for _, n := range m.Proto.Graph.Node {
		if slices.Contains(spec.NormNodes, n.Name) && len(n.Output) > 0 {
			last = n.Output[0]
		}
	}
	if last == "" {
		return "", fmt.Errorf("detect: %q: the nodes that normalise, %q, are not in the graph: %w", m.Name(), spec.NormNodes, onnx.ErrFormat)
	}
	return last, nil
}

// part is what a model computes from one value to others, where the value is its input.
func part(m *onnx.Model, from string, to ...string) (*onnx.Model, error) {
	c, err := m.Rename(nil)
	if err != nil {
		return nil, err
	}
	g := c.Proto.Graph
	in := inputsOf(c, from)
	g.Node = slices.DeleteFunc(g.Node, func(n *pb.NodeProto) bool { return slices.Contains(n.Output, from) })
	g.ValueInfo = slices.DeleteFunc(g.ValueInfo, func(v *pb.ValueInfoProto) bool { return v.Name == from })
	g.Input = in
	if c, err = c.Cut(to...); err != nil {
		return nil, err
	}
	if bad := c.Validate(); len(bad) > 0 {
		return nil, fmt.Errorf("detect: %q: from %q to %q: %s: %w", m.Name(), from, to, bad[0], onnx.ErrFormat)
	}
	return c, nil
}

// inputsOf describes a value as the only input of a model, with the shape that the file
// declares, or of images.
func inputsOf(m *onnx.Model, name string) []*pb.ValueInfoProto {
	for _, v := range m.Proto.Graph.Input {
		if v.Name == name {
			return []*pb.ValueInfoProto{v}
		}
	}
	return []*pb.ValueInfoProto{onnx.NewValue(name, pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Named("H"), onnx.Named("W"))}
}
