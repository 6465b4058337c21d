package onnx

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Stages tells the feature maps of a backbone that detectors read, fine to coarse, by
// the graph alone. They are the outputs, where two or more of these are feature maps of
// different strides. Else there is one for each stride among the values that all paths
// from the images to the features pass through: in a residual network the outputs of
// blocks, and nothing within a block that has a shortcut. Of one stride it is the last
// such value before the map is made smaller or pooled away; where that is computed by
// convolutions and batch norms of the result of an activation, it is that result, as
// networks end their stages with an activation.
//
// Strides are what [Model.Stage] says. Feature maps must be [N,C,H,W]. The error wraps
// [ErrNoStage] where there is none.
func (m *Model) Stages() ([]Stage, error) {
	found, err := m.featureMaps()
	if err != nil {
		return nil, err
	}
	if out := found.outputs(m); len(out) > 1 {
		return out, nil
	}
	feature, err := m.FeatureValue()
	if err != nil {
		return nil, err
	}
	in, err := m.imageInput()
	if err != nil {
		return nil, err
	}
	var out []Stage
	paths := m.pathsFrom(in.name)
	for _, v := range paths.shared(feature) {
		s, ok := found.maps[v]
		switch {
		case !ok || !paths.learned[v] || len(out) > 0 && s.Stride < out[len(out)-1].Stride:
		case len(out) > 0 && s.Stride == out[len(out)-1].Stride:
			out[len(out)-1] = s
		default:
			out = append(out, s)
		}
	}
	for i, s := range out {
		if s, ok := found.maps[paths.activated(s.Value)]; ok && s.Stride == out[i].Stride {
			out[i] = s
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("onnx: no value between the images %q and the features %q is a feature map: %w", in.name, feature, ErrNoStage)
	}
	return out, nil
}

// outputs are the outputs that are feature maps, nil where two have the same stride.
func (f featureMaps) outputs(m *Model) (out []Stage) {
	for _, o := range m.Outputs() {
		s, ok := f.maps[o.Name]
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, func(other Stage) bool { return other.Stride == s.Stride }) {
			return nil
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Stage) int { return a.Stride - b.Stride })
	return out
}

// paths are those from an input through a graph. Sizes of values are not among them.
type paths struct {
	producer map[string]*pb.NodeProto
	// gate is of each value that depends on the input the last one before it that all
	// paths to it pass through, its immediate dominator; "" of the input.
	gate    map[string]string
	depth   map[string]int  // number of gates before a value
	learned map[string]bool // values behind a convolution: the others are images still
}

// pathsFrom finds the paths from an input of a graph.
func (m *Model) pathsFrom(input string) paths {
	p := paths{producer: m.producers(), gate: map[string]string{input: ""}, depth: map[string]int{input: 0}, learned: map[string]bool{}}
	for _, n := range m.Proto.Graph.Node {
		read := p.read(n)
		if len(read) == 0 || n.OpType == "Shape" || n.OpType == "Size" {
			continue
		}
		gate, learned := read[0], n.OpType == "Conv"
		for _, v := range read {
			gate, learned = p.meet(gate, v), learned || p.learned[v]
		}
		for _, o := range n.Output {
			if _, twice := p.gate[o]; !twice { // as in a damaged graph
				p.gate[o], p.depth[o], p.learned[o] = gate, p.depth[gate]+1, learned
			}
		}
	}
	return p
}

// read are the values that a node reads which depend on the input.
func (p paths) read(n *pb.NodeProto) (out []string) {
	for _, v := range valuesRead(n) {
		if _, ok := p.gate[v]; ok && v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// meet is the last value that all paths to a and to b pass through.
func (p paths) meet(a, b string) string {
	for a != b {
		if p.depth[a] < p.depth[b] {
			a, b = b, a
		}
		a = p.gate[a]
	}
	return a
}

// shared are the values that all paths to a value pass through, the input first and the
// value last.
func (p paths) shared(value string) (out []string) {
	if _, ok := p.gate[value]; !ok {
		return nil
	}
	for v := value; v != ""; v = p.gate[v] {
		out = append(out, v)
	}
	slices.Reverse(out)
	return out
}

// activated is the result of an activation, of which convolutions and batch norms alone
// compute the value; "" where there is none.
func (p paths) activated(value string) string {
	for range p.producer { // a damaged graph may have cycles
		n := p.producer[value]
		if n == nil || !standard(n) {
			return ""
		}
		read := p.read(n)
		switch {
		case activations[n.OpType] || n.OpType == "Mul" && len(read) == 2: // x times a sigmoid of x
			return value
		case n.OpType != "Conv" && n.OpType != "BatchNormalization" && n.OpType != "Identity" || len(read) != 1:
			return ""
		}
		value = read[0]
	}
	return ""
}

// activations are operators of activation functions.
var activations = map[string]bool{
	"Relu": true, "Clip": true, "LeakyRelu": true, "PRelu": true, "Elu": true, "Selu": true, "Celu": true, "Sigmoid": true, "HardSigmoid": true,
	"HardSwish": true, "Gelu": true, "Mish": true, "Softplus": true, "Softsign": true, "Tanh": true, "ThresholdedRelu": true,
}
