package arch

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// load adds the checkpoint's tensors to the model as initializers, in their
// order, and records in the Spec what an initializer cannot express.
func (a architecture) load(m *onnx.Model, s *onnx.Spec, b *builder, tensors []onnx.Tensor, cut int) error {
	params := map[string]param{}
	for _, p := range b.params {
		params[p.name] = p
	}
	for i, t := range tensors {
		p, ok := params[a.layerName(b, t, cut)]
		if !ok {
			data, err := t.Bytes()
			if err != nil {
				return fmt.Errorf("tensor %q: %w", t.Name, err)
			}
			s.Extra = append(s.Extra, onnx.Extra{Name: t.Name, DType: typeName(t.DType), Dims: t.Dims, At: i, Data: data})
			continue
		}
		if t.Name != p.name {
			if s.SourceNames == nil {
				s.SourceNames = map[string]string{}
			}
			s.SourceNames[p.name] = t.Name
		}
		if t.DType != pb.TensorProto_FLOAT {
			if s.SourceTypes == nil {
				s.SourceTypes = map[string]string{}
			}
			s.SourceTypes[p.name] = typeName(t.DType)
		}
		c := cast(t, pb.TensorProto_FLOAT)
		m.SetPayload(initializer(m, p), c.Size(), c.Write)
	}
	return nil
}

// Weights returns the state_dict that a model was built from: every parameter and
// buffer, under the checkpoint's names and in its types and order. Values that
// were float64 have been rounded to float32. Models of Untrained and Synthetic
// have the architecture's names and order. If the model's initializers are no
// longer those of its architecture, for instance because batch norms were
// folded, the error is a *Mismatch.
func Weights(m *onnx.Model) ([]onnx.Tensor, error) {
	s, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	if s.Detect != nil {
		return detectorWeights(m, s)
	}
	a, err := find(s.Arch)
	if err != nil {
		return nil, err
	}
	all := m.Tensors()
	b, err := a.headOf(s, all)
	if err != nil {
		return nil, err
	}
	return a.weights(b, all, s)
}

// weights gives the initializers that are parameters their names and types in the
// checkpoint back.
func (a architecture) weights(b *builder, all []onnx.Tensor, s onnx.Spec) ([]onnx.Tensor, error) {
	own := map[string]bool{}
	for _, p := range b.params {
		own[p.name] = true
	}
	all = slices.DeleteFunc(all, func(t onnx.Tensor) bool { return !own[t.Name] })
	if mismatch := a.differ(b, all, ""); mismatch.faults() > 0 {
		return nil, mismatch
	}
	for i, t := range all {
		to := pb.TensorProto_FLOAT
		if name := s.SourceTypes[t.Name]; name != "" {
			if to = typeNamed(name); casts[to] == nil {
				return nil, fmt.Errorf("arch: the spec's type of %q is %q: %w", t.Name, name, onnx.ErrFormat)
			}
		}
		all[i] = cast(t, to)
		if name := s.SourceNames[t.Name]; name != "" {
			all[i].Name = name
		} else if t.Name == b.last.Weight || t.Name == b.last.Bias {
			all[i].Name = sourcePrefix(s, b.params[0]) + t.Name
		}
	}
	return withExtra(all, s.Extra)
}

// headOf defines the network as a model has it: without a head, or with one that a
// backbone without a head was given. Such a head gets the names of the network's own,
// behind the prefix that the checkpoint's names had.
func (a architecture) headOf(s onnx.Spec, all []onnx.Tensor) (*builder, error) {
	if s.Head == nil {
		return a.define(0, s.InputSize)
	}
	b, err := a.define(1, s.InputSize)
	if err != nil {
		return nil, err
	}
	own := b.last
	for i, t := range all {
		switch t.Name {
		case s.Head.Weight:
			all[i].Name = own.Weight
		case s.Head.Bias:
			all[i].Name = own.Bias
		}
	}
	return a.define(a.classes(all), s.InputSize)
}

// sourcePrefix is what a checkpoint's names begin with, in front of the network's.
func sourcePrefix(s onnx.Spec, first param) string {
	prefix, ok := strings.CutSuffix(s.SourceNames[first.name], first.name)
	if !ok {
		return ""
	}
	return prefix
}

// withExtra inserts the tensors that are not in the graph at their positions.
func withExtra(all []onnx.Tensor, extra []onnx.Extra) ([]onnx.Tensor, error) {
	for _, e := range extra {
		t := onnx.Tensor{Name: e.Name, DType: typeNamed(e.DType), Dims: e.Dims, Write: func(w io.Writer) error { _, err := w.Write(e.Data); return err }}
		if t.DType == pb.TensorProto_UNDEFINED || t.Elements() < 0 || t.Size() != int64(len(e.Data)) || e.At < 0 || e.At > len(all) {
			return nil, fmt.Errorf("arch: the spec's extra tensor %q: %s%v of %d bytes at place %d of %d: %w", e.Name, e.DType, e.Dims, len(e.Data), e.At, len(all), onnx.ErrFormat)
		}
		all = slices.Insert(all, e.At, t)
	}
	return all, nil
}

// typeNamed is the element type of a name of the Spec: UNDEFINED if there is
// none.
func typeNamed(name string) pb.TensorProto_DataType {
	return pb.TensorProto_DataType(pb.TensorProto_DataType_value[strings.ToUpper(name)])
}
