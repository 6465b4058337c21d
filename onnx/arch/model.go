package arch

import (
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// model assembles the graph, still without weights, and its Spec.
func (a architecture) model(b *builder, c Config) (*onnx.Model, onnx.Spec) {
	g := &pb.GraphProto{Name: a.name, Node: b.nodes}
	m := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, ProducerName: "rtx", Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}})
	g.Input = []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(b.size[0]), onnx.Sized(b.size[1]))}
	head := &b.last
	if b.classes == 0 {
		head = nil
	} else {
		g.Output = append(g.Output, onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(b.classes)))
	}
	g.Output = append(g.Output, onnx.NewValue("features", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(b.width)))
	for _, s := range b.stages {
		d := b.shapes[s.Value]
		g.ValueInfo = append(g.ValueInfo, onnx.NewValue(s.Value, pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(d[0]), onnx.Sized(d[1]), onnx.Sized(d[2])))
	}
	spec := onnx.Spec{Version: 1, Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw",
		Mean: a.mean, Std: a.std, Clamp: c.Clamp, Normalized: b.normNodes != nil, NormNodes: b.normNodes,
		Input: "images", Feature: "features", Stages: b.stages, Head: head, Labels: c.Labels, Arch: a.name}
	spec.SetSize(b.size[0], b.size[1])
	if c.Mean != nil {
		spec.Mean, spec.Std = c.Mean, c.Std
	}
	if c.Normalize {
		normalize(g, &spec)
	}
	return m, spec
}

// normalize moves the normalisation that the Spec asks for into the graph, in
// front of its other nodes.
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
