package onnx

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ValueError is the error of a value that a graph does not have.
type ValueError struct {
	Value  string
	Values []string // of the graph, sorted
}

func (e *ValueError) Error() string { return fmt.Sprintf("onnx: the model has no value %q", e.Value) }

// Cut returns the model with the named values as its outputs, without the nodes
// and weights that they do not need. The error is a [*ValueError] where no node
// computes one of them.
func (m *Model) Cut(values ...string) (*Model, error) {
	g := m.Proto.Graph
	info := map[string]*pb.ValueInfoProto{}
	for _, list := range [][]*pb.ValueInfoProto{g.ValueInfo, g.Input, g.Output} {
		for _, v := range list {
			info[v.Name] = v
		}
	}
	computed := m.producers()
	delete(computed, "") // optional outputs that are left out
	t := m.tracer()
	c := m.shallow()
	c.Proto.Graph.Output = nil
	for _, v := range values {
		if computed[v] == nil {
			return nil, &ValueError{v, slices.Sorted(maps.Keys(computed))}
		}
		out := info[v]
		if described := valueOf(out); !described.Known {
			out = m.describe(v, cmp.Or(described.DType, t.elementType(v)))
		}
		c.Proto.Graph.Output = append(c.Proto.Graph.Output, out)
	}
	c.prune()
	return c, nil
}

// describe describes a value whose shape the file does not declare: with the rank
// that the operators tell, open sizes, and the batch as its first dimension.
func (m *Model) describe(value string, dtype pb.TensorProto_DataType) *pb.ValueInfoProto {
	rank := m.Rank(value)
	if rank < 0 {
		return &pb.ValueInfoProto{Name: value, Type: tensorType(dtype, nil)}
	}
	dims := openDims(rank)
	if rank > 1 {
		dims[0] = Named("N")
	}
	if width := m.columnsRead(value); rank == 2 && width > 0 {
		dims[1] = Sized(width)
	}
	return NewValue(value, dtype, dims...)
}

// Rename returns the model with values renamed: inputs, outputs, weights and
// whatever nodes compute. names maps old names to new ones.
func (m *Model) Rename(names map[string]string) (*Model, error) {
	computed := m.producers()
	for _, from := range slices.Sorted(maps.Keys(names)) {
		name := names[from]
		if from != name && computed[name] != nil && names[name] == "" {
			return nil, fmt.Errorf("onnx: rename %q: there is a value %q already", from, name)
		}
	}
	c := *m
	c.Proto = proto.CloneOf(m.Proto)
	c.payloads = map[*pb.TensorProto]payload{}
	g := c.Proto.Graph
	to := func(s string) string {
		if r, ok := names[s]; ok {
			return r
		}
		return s
	}
	for _, n := range g.Node {
		for i := range n.Input {
			n.Input[i] = to(n.Input[i])
		}
		for i := range n.Output {
			n.Output[i] = to(n.Output[i])
		}
	}
	for i, t := range g.Initializer {
		if p, ok := m.payloads[m.Proto.Graph.Initializer[i]]; ok {
			c.payloads[t] = p
		}
		t.Name = to(t.Name)
	}
	for _, list := range [][]*pb.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, v := range list {
			v.Name = to(v.Name)
		}
	}
	return &c, nil
}

// Output makes a value of a graph an output of the given name.
type Output struct{ Name, Value string }

// Expose returns the model with these outputs. Its Spec follows the values that
// are renamed. Outputs keep the shapes that the model declares; feature maps of the
// Spec's stages become [N,C,H,W] with open H and W. With openSize set, the image
// input's height and width are left open, too.
func (m *Model) Expose(outputs []Output, openSize bool) (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	renamed, values := map[string]string{}, make([]string, len(outputs))
	for i, o := range outputs {
		if renamed[o.Value] != "" {
			return nil, fmt.Errorf("onnx: outputs %q and %q are the same value", renamed[o.Value], o.Name)
		}
		if slices.ContainsFunc(outputs[:i], func(p Output) bool { return p.Name == o.Name }) {
			return nil, fmt.Errorf("onnx: output %q is named twice", o.Name)
		}
		renamed[o.Value], values[i] = o.Name, o.Value
	}
	c, err := m.Cut(values...)
	if err != nil {
		return nil, err
	}
	if c, err = c.renameOutputs(renamed); err != nil {
		return nil, err
	}
	spec = spec.renamed(renamed)
	g := c.Proto.Graph
	for i, o := range g.Output {
		at := slices.IndexFunc(spec.Stages, func(s Stage) bool { return s.Value == o.Name })
		if at >= 0 {
			g.Output[i] = NewValue(o.Name, pb.TensorProto_FLOAT, Named("N"), Sized(spec.Stages[at].Channels), Named(o.Name+"_h"), Named(o.Name+"_w"))
		}
	}
	if openSize {
		c.openSize()
	}
	return c.WithSpec(spec.keep(c))
}

// renameOutputs gives values the names of outputs. Another value that has such a
// name gets a fresh one, which is added to renamed.
func (m *Model) renameOutputs(renamed map[string]string) (*Model, error) {
	taken := map[string]bool{}
	names(m.Proto.Graph, taken)
	for value, name := range maps.Clone(renamed) {
		if value != name && taken[name] && renamed[name] == "" {
			renamed[name] = freshName(taken, name)
		}
	}
	return m.Rename(renamed)
}
