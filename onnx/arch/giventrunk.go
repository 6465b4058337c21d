package arch

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// ErrPyramid says that the strides of a backbone's feature maps give no feature pyramid.
var ErrPyramid = errors.New("no feature pyramid")

// givenTrunk is a backbone as the trunk of a detector.
type givenTrunk struct {
	model  *onnx.Model  // computes the feature maps that the pyramid takes, of images of any size
	spec   onnx.Spec    // of the backbone
	stages []onnx.Stage // those feature maps
	all    []onnx.Stage // the backbone's stages up to the last of those
	name   string       // of the backbone's architecture
	eps    float64      // what its batch norms add to variances
}

// newTrunk makes the trunk of a detector of a backbone.
func newTrunk(backbone *onnx.Model, kind string) (*givenTrunk, error) {
	spec, _, err := backbone.Spec()
	if err != nil {
		return nil, err
	}
	switch {
	case spec.Detect != nil:
		return nil, fmt.Errorf("it is a detector, which has heads")
	case spec.Layout != "nchw" || spec.ChannelCount() != 3:
		return nil, fmt.Errorf("it takes %q images in the layout %q, expected colours in nchw", spec.Channels, spec.Layout)
	case spec.Normalized && len(spec.NormNodes) == 0:
		return nil, fmt.Errorf("the graph normalises images, but not by nodes of its own, so that the colour of padding cannot be told")
	}
	stages := spec.Stages
	if len(stages) == 0 {
		if stages, err = backbone.Stages(); err != nil {
			return nil, err
		}
	}
	t := &givenTrunk{spec: spec, name: cmp.Or(spec.Arch, "backbone"), eps: defaultEps}
	if t.stages, err = pyramidStages(kind, stages); err != nil {
		return nil, err
	}
	t.all = stages[:slices.Index(stages, t.stages[len(t.stages)-1])+1]
	values := make([]string, len(t.stages))
	for i, s := range t.stages {
		values[i] = s.Value
	}
	if t.model, err = backbone.Cut(values...); err != nil {
		return nil, err
	}
	if t.model, err = t.model.WithOpset(onnx.Opset); err != nil {
		return nil, err
	}
	if t.model, err = t.model.OpenSize(); err != nil {
		return nil, err
	}
	return t, t.check()
}

// pyramidStages chooses the stages that the pyramid of a kind of detector takes.
func pyramidStages(kind string, stages []onnx.Stage) (taken []onnx.Stage, err error) {
	last := map[int]onnx.Stage{}
	for _, s := range stages {
		last[s.Stride] = s
	}
	for _, stride := range []int{4, 8, 16, 32} {
		if s, ok := last[stride]; ok {
			taken = append(taken, s)
		}
	}
	if kind == RetinaNet && len(taken) > 2 && taken[0].Stride == 4 {
		taken = taken[1:]
	}
	for i := range taken {
		if i > 0 && taken[i].Stride != 2*taken[i-1].Stride || len(taken) < 2 {
			taken = nil
			break
		}
	}
	if len(taken) < 2 {
		var strides []int
		for _, s := range stages {
			strides = append(strides, s.Stride)
		}
		return nil, fmt.Errorf("the backbone has feature maps of strides %v; a feature pyramid takes those of 4, 8, 16 and 32, two or more of them without a gap: %w", strides, ErrPyramid)
	}
	return taken, nil
}

// check tells whether the trunk's feature maps are what the stages say, at any size of
// images, and reads its batch norms.
func (t *givenTrunk) check() error {
	if in := t.model.Inputs(); len(in) != 1 || in[0].Name != t.spec.Input || in[0].DType != pb.TensorProto_FLOAT {
		return fmt.Errorf("it takes the inputs %v, expected %q of float32 alone", in, t.spec.Input)
	}
	for _, s := range t.stages {
		is, err := t.model.Stage(s.Value)
		if err != nil {
			return err
		}
		if is != s {
			return fmt.Errorf("stage %q has stride %d and %d channels, and its spec says %d and %d", s.Value, is.Stride, is.Channels, s.Stride, s.Channels)
		}
	}
	for _, o := range t.model.Outputs() {
		if o.DType != pb.TensorProto_FLOAT {
			return fmt.Errorf("stage %q is of type %v, expected float32", o.Name, o.DType)
		}
	}
	for _, n := range slices.Backward(t.model.Proto.Graph.Node) {
		if n.OpType == "BatchNormalization" {
			t.eps = defaultEps
			for _, a := range n.Attribute {
				if a.Name == "epsilon" {
					t.eps = widened(a.F)
				}
			}
		}
	}
	return nil
}

// widened is the shortest decimal number that rounds to a float32: 1e-5 for that of 1e-5.
func widened(v float32) float64 {
	x, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	return x
}
