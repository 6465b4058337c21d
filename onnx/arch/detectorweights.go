package arch

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// recognize returns the detector's name.
func (f found) recognize() (string, error) {
	_, mismatch, err := f.compare()
	if err != nil {
		return "", err
	}
	if mismatch != nil {
		return "", mismatch
	}
	return f.name(), nil
}

// detectorWeights gives the state_dict of a detector back. The model may have more
// initializers than those of the layers.
func detectorWeights(m *onnx.Model, s onnx.Spec) ([]onnx.Tensor, error) {
	all := m.Tensors()
	sh := shapesOf(all, dialect{}, "")
	d := sh.detector(sh.kind())
	d.body.msra = true // names and shapes are the same
	a := d.architecture()
	a.name = s.Arch
	b, err := d.define()
	if !slices.ContainsFunc(all, func(t onnx.Tensor) bool { return strings.HasPrefix(t.Name, bodyPrefix) }) {
		b, all, err = d.onBackbone(m, &s)
	}
	if err != nil {
		return nil, err
	}
	if s.Detect.Background == "last" {
		layers := map[string]string{} // parameters by their names in the checkpoint
		for _, p := range b.params {
			name := p.name
			if source := s.SourceNames[name]; source != "" {
				name = source
			}
			layers[name] = p.name
		}
		plain := s
		plain.Extra = nil
		out, err := a.weights(b, all, plain)
		if err != nil {
			return nil, err
		}
		for i, t := range out {
			out[i] = backgroundLast(t, layers[t.Name])
		}
		return withExtra(out, s.Extra)
	}
	return a.weights(b, all, s)
}

// bodyPrefix is what the names of a trunk's parameters begin with in torchvision.
const bodyPrefix = "backbone.body."

// headPrefixes are what the names of the others begin with.
var headPrefixes = []string{"backbone.fpn.", "rpn.head.", "roi_heads.", "head.classification_head.", "head.regression_head."}

// onBackbone returns the layers and the tensors of a detector of NewDetector. Those of
// the trunk are called as torchvision calls them: as in the backbone, behind a prefix. A
// detector of Detectron2's conventions gets the names of its layers.
func (d detector) onBackbone(m *onnx.Model, s *onnx.Spec) (*builder, []onnx.Tensor, error) {
	t := &givenTrunk{model: m, spec: *s, eps: d.eps}
	var err error
	if t.stages, err = pyramidStages(d.kind, s.Stages); err != nil {
		return nil, nil, fmt.Errorf("arch: %q: %w", m.Name(), err)
	}
	d.laterals = nil
	for i := range t.stages {
		d.laterals = append(d.laterals, i)
	}
	b := t.builder()
	d.behindTrunk(b)
	var trunk []param
	var all []onnx.Tensor
	constants := t.constants()
	for _, x := range m.Tensors() {
		switch {
		case slices.ContainsFunc(headPrefixes, func(prefix string) bool { return strings.HasPrefix(x.Name, prefix) }):
		case x.DType != pb.TensorProto_FLOAT || constants[x.Name]:
			continue
		default:
			x.Name = bodyPrefix + x.Name
			trunk = append(trunk, param{name: x.Name, dims: x.Dims})
		}
		all = append(all, x)
	}
	b.params = append(trunk, b.params...)
	if s.Detect.Conventions == detectron2.String() {
		s.SourceNames = map[string]string{}
		names := dialect{detectron2, bits.TrailingZeros(uint(t.stages[0].Stride))}
		for _, p := range b.params {
			s.SourceNames[p.name] = names.theirs(p.name)
		}
		if s.Extra, err = t.pixelTensors(); err != nil {
			return nil, nil, err
		}
	}
	return b, all, b.err
}

// constants are the initializers that the nodes which normalise read.
func (t *givenTrunk) constants() map[string]bool {
	read := map[string]bool{}
	for _, n := range t.model.Proto.Graph.Node {
		if slices.Contains(t.spec.NormNodes, n.Name) {
			for _, v := range n.Input {
				read[v] = true
			}
		}
	}
	return read
}
