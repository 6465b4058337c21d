package arch

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
)

// builder is a builder whose stages are the trunk's, under the names of stageName.
func (t *givenTrunk) builder() *builder {
	b := &builder{size: [2]int{nominalSize, nominalSize}, eps: t.eps, shapes: map[string][3]int{}}
	for i, s := range t.stages {
		s.Value = stageName(i)
		b.shapes[s.Value] = [3]int{s.Channels, nominalSize / s.Stride, nominalSize / s.Stride}
		b.stages = append(b.stages, s)
	}
	return b
}

// stageName stands for the value of a stage until it is known whether the value has to be
// renamed. It begins with a zero byte, so that it is no name of a value of the graph.
func stageName(i int) string { return fmt.Sprintf("\x00%d", i) }

// joined returns the trunk with the nodes behind it, still without their parameters and
// without inputs and outputs, and the new names of the trunk's values. These keep their
// names but for the input, which becomes "images", and those that the nodes behind it
// use, too.
func (t *givenTrunk) joined(b *builder) (*onnx.Model, map[string]string, error) {
	behind := map[string]bool{"images": true, boxFeatures: true, maskFeatures: true}
	for _, n := range b.nodes {
		for _, o := range n.Output {
			behind[o] = true
		}
	}
	for _, p := range b.params {
		behind[p.name] = true
	}
	g := t.model.Proto.Graph
	own := map[string]bool{}
	for _, x := range g.Initializer {
		own[x.Name] = true
	}
	for _, n := range g.Node {
		for _, o := range n.Output {
			own[o] = true
		}
	}
	renamed := map[string]string{t.spec.Input: "images"}
	for name := range own {
		to := name
		for behind[to] || to != name && own[to] {
			to = "trunk/" + to
		}
		if to != name {
			renamed[name] = to
		}
	}
	m, err := t.model.Rename(renamed)
	if err != nil {
		return nil, nil, err
	}
	g = m.Proto.Graph
	g.Input, g.Output, g.ValueInfo = nil, nil, nil
	for i, s := range t.stages {
		for _, n := range b.nodes {
			for k, v := range n.Input {
				if v == stageName(i) {
					n.Input[k] = cmp.Or(renamed[s.Value], s.Value)
				}
			}
		}
	}
	g.Node = append(g.Node, b.nodes...)
	return m, renamed, nil
}

// detectorSpec is the Spec of the detector d on the trunk, still without levels. It
// says of images what the backbone's says, and where the weights come from.
func (t *givenTrunk) detectorSpec(d detector, conv conventions, renamed map[string]string) onnx.Spec {
	s := t.spec
	s.Arch, s.Input, s.Interpolation = d.name(), "images", "bilinear"
	s.Feature, s.Head, s.Labels, s.Scores = "", nil, nil, nil
	s.SourceNames, s.SourceTypes, s.Extra = nil, nil, nil
	s.Stages = slices.Clone(t.all)
	for i := range s.Stages {
		s.Stages[i].Value = cmp.Or(renamed[s.Stages[i].Value], s.Stages[i].Value)
	}
	s.Detect = conv.detect(d)
	if s.Normalized {
		for _, n := range t.model.Proto.Graph.Node {
			if slices.Contains(s.NormNodes, n.Name) && len(n.Output) > 0 {
				s.Detect.Images.Value = cmp.Or(renamed[n.Output[0]], n.Output[0])
			}
		}
	}
	return s
}
