package onnx

import (
	"fmt"
	"maps"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// RankError is the error of a value that a linear layer cannot read, because it
// has neither two nor four dimensions or the model does not say how many. In the
// latter case [Model.WithRank] declares them.
type RankError struct {
	Value string
	Rank  int // below 0: the model does not say
}

func (e *RankError) Error() string {
	if e.Rank < 0 {
		return fmt.Sprintf("onnx: attach a head to %q: the model does not say how many dimensions it has, expected [N,D] or [N,C,H,W]", e.Value)
	}
	return fmt.Sprintf("onnx: attach a head to %q: it has %d dimensions, expected [N,D] or [N,C,H,W]", e.Value, e.Rank)
}

// Attach returns a classifier: the part of the model that computes value, then,
// where value is a map [N,C,H,W] (or [N,H,W,C]), its mean over H and W, then
// the layer. Its outputs are logits [N,K] and features [N,D]; its Spec has the
// layer's classes as labels. If the model has a head behind value, the new
// weights take the names of that head's.
//
// The error is a [*RankError] where a layer cannot read value.
func (m *Model) Attach(value string, l Linear) (*Model, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	weight, bias := "head.weight", "head.bias"
	if spec.Head != nil && spec.Head.Bias != "" && value == spec.Feature {
		weight, bias = spec.Head.Weight, spec.Head.Bias
	}
	c, err := m.pooled(value, l.D)
	if err != nil {
		return nil, err
	}
	if spec, _, err = c.Spec(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(c.Proto.Graph.Initializer, func(t *pb.TensorProto) bool { return t.Name == weight || t.Name == bias }) {
		weight, bias = "head.weight", "head.bias"
	}
	c = l.add(c, "features", weight, bias)
	spec.SourceTypes = maps.Clone(spec.SourceTypes)
	delete(spec.SourceTypes, weight)
	delete(spec.SourceTypes, bias)
	spec.Feature, spec.Head, spec.Labels, spec.Scores = "features", &Head{Weight: weight, Bias: bias}, l.Classes, nil
	return c.WithSpec(spec)
}

// rankOf is the number of dimensions of a value, as the file declares it or as
// operators tell it; below 0 where neither does.
func (m *Model) rankOf(value string) int {
	if rank := m.Rank(value); rank >= 0 {
		return rank
	}
	for _, h := range m.heads() {
		if h.input == value && h.maps {
			return 4
		}
		if h.input == value && h.flat {
			return 2
		}
	}
	return -1
}

// pooled returns the model whose one output is features [N,width]: value, or
// its mean over space where value has four dimensions. Values of 8 bits or of
// float16 become float32.
func (m *Model) pooled(value string, width int) (*Model, error) {
	rank := m.rankOf(value)
	if rank != 2 && rank != 4 {
		return nil, &RankError{value, rank}
	}
	name := "features"
	if rank == 4 {
		name = "features_map"
	}
	q, eightBit := m.quantization(value)
	half := !eightBit && m.tracer().elementType(value) != pb.TensorProto_FLOAT
	exposed := name
	if eightBit || half {
		exposed = "features_narrow"
	}
	c, err := m.Expose([]Output{{exposed, value}}, false)
	if err != nil {
		return nil, err
	}
	spec, _, err := c.Spec()
	if err != nil {
		return nil, err
	}
	g := c.Proto.Graph
	if eightBit {
		q.dequantize(g, exposed, name)
	} else if half {
		g.Node = append(g.Node, NewNode("Cast", name, []string{exposed}, Int("to", int64(pb.TensorProto_FLOAT))))
	}
	axes := c.spatialAxes(name, spec.Input, spec.Layout)
	if rank == 4 && c.Opset() < 18 {
		g.Node = append(g.Node, NewNode("ReduceMean", "features", []string{name}, Ints("axes", axes...), Int("keepdims", 0)))
	} else if rank == 4 {
		g.Initializer = append(g.Initializer, NewInts("features_axes", axes...))
		g.Node = append(g.Node, NewNode("ReduceMean", "features", []string{name, "features_axes"}, Int("keepdims", 0)))
	}
	g.Output = []*pb.ValueInfoProto{NewValue("features", pb.TensorProto_FLOAT, Named("N"), Sized(width))}
	return c, nil
}
