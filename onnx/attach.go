package onnx

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Linear is a linear classifier: logits = W x + b.
type Linear struct {
	W       []float32 // [K,D], row-major
	B       []float32 // [K]
	D       int
	Classes []string // K names, in order; nil: none
}

func (l Linear) check() error {
	if k := len(l.B); k == 0 || l.D < 1 || len(l.W) != k*l.D || l.Classes != nil && len(l.Classes) != k {
		return fmt.Errorf("onnx: a head of %d weights, %d biases and %d classes for %d features", len(l.W), len(l.B), len(l.Classes), l.D)
	}
	return nil
}

// add puts the layer behind a value [N,D] and makes logits an output.
func (l Linear) add(m *Model, features string, weight, bias string) *Model {
	k := len(l.B)
	w := &pb.TensorProto{Name: weight, Dims: []int64{int64(k), int64(l.D)}, DataType: int32(pb.TensorProto_FLOAT), RawData: littleEndian(l.W)}
	b := &pb.TensorProto{Name: bias, Dims: []int64{int64(k)}, DataType: int32(pb.TensorProto_FLOAT), RawData: littleEndian(l.B)}
	g := m.Proto.Graph
	g.Initializer = append(slices.Clip(g.Initializer), w, b)
	g.Node = append(slices.Clip(g.Node), NewNode("Gemm", "logits", []string{features, weight, bias}, Int("transB", 1)))
	g.Output = append([]*pb.ValueInfoProto{NewValue("logits", pb.TensorProto_FLOAT, Named("N"), Sized(k))}, g.Output...)
	if l.Classes == nil {
		return m
	}
	text, err := json.Marshal(l.Classes)
	if err != nil {
		panic(err) // strings always marshal
	}
	return m.WithMetadata(ClassesKey, string(text))
}

func littleEndian(v []float32) []byte {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}

// NewLinear is a model of the layer alone: features float32 [N,D] to logits
// [N,K].
func NewLinear(l Linear) (*Model, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	m := New(&pb.ModelProto{
		IrVersion: IRVersion, ProducerName: "rtx", OpsetImport: []*pb.OperatorSetIdProto{{Version: Opset}},
		Graph: &pb.GraphProto{Name: "head", Input: []*pb.ValueInfoProto{NewValue("features", pb.TensorProto_FLOAT, Named("N"), Sized(l.D))}},
	})
	return l.add(m, "features", "weight", "bias"), nil
}

// Attach returns the model with another head, as a classifier: what leads to
// value, then, where value is a map [N,C,H,W], the mean over H and W, then the
// layer. Its outputs are logits [N,K] and features [N,D]; its Spec has the
// layer's classes as labels. The new weights are called as those of the head
// that the model has behind value, where it has one.
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
	rank := m.Rank(value)
	if r, told := m.ranks()[value]; rank < 0 && told { // of a file that describes no value inside
		rank = r
	}
	if rank < 0 {
		return nil, fmt.Errorf("onnx: attach a head to %q: the model does not say how many dimensions it has, expected [N,D] or [N,C,H,W]", value)
	}
	if rank != 2 && rank != 4 {
		return nil, fmt.Errorf("onnx: attach a head to %q: it has %d dimensions, expected [N,D] or [N,C,H,W]", value, rank)
	}
	name := "features"
	if rank == 4 {
		name = "features_map"
	}
	c, err := m.Expose([]Output{{name, value}}, false)
	if err != nil {
		return nil, err
	}
	if spec, _, err = c.Spec(); err != nil {
		return nil, err
	}
	g := c.Proto.Graph
	axes := c.space(name, spec.Input, spec.Layout)
	if rank == 4 && c.Opset() < 18 {
		g.Node = append(g.Node, NewNode("ReduceMean", "features", []string{name}, Ints("axes", axes...), Int("keepdims", 0)))
	} else if rank == 4 {
		g.Initializer = append(g.Initializer, NewInts("features_axes", axes...))
		g.Node = append(g.Node, NewNode("ReduceMean", "features", []string{name, "features_axes"}, Int("keepdims", 0)))
	}
	g.Output = []*pb.ValueInfoProto{NewValue("features", pb.TensorProto_FLOAT, Named("N"), Sized(l.D))}
	if slices.ContainsFunc(g.Initializer, func(t *pb.TensorProto) bool { return t.Name == weight || t.Name == bias }) {
		weight, bias = "head.weight", "head.bias"
	}
	c = l.add(c, "features", weight, bias)
	spec.SourceTypes = maps.Clone(spec.SourceTypes)
	delete(spec.SourceTypes, weight)
	delete(spec.SourceTypes, bias)
	spec.Feature, spec.Head, spec.Labels = "features", &Head{Weight: weight, Bias: bias}, l.Classes
	return c.WithSpec(spec)
}

// Width is how many features a value [N,D] or [N,C,H,W] holds once it is
// averaged over space: what a linear layer reads of it, or what the model
// declares. 0 where the model does not say.
func (m *Model) Width(value string) int {
	if w := m.width(value); w > 0 {
		return w
	}
	g := m.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Output, g.ValueInfo} {
		for _, p := range list {
			v := valueOf(p)
			if p.Name != value || !v.Known || len(v.Shape) != 2 && len(v.Shape) != 4 {
				continue
			}
			axis := 1
			if spec, _, err := m.Spec(); err == nil && len(v.Shape) == 4 && m.space(value, spec.Input, spec.Layout)[0] == 1 {
				axis = 3
			}
			return int(v.Shape[axis].Size)
		}
	}
	return 0
}
