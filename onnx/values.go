package onnx

import (
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// GraphValue is a value that the nodes of a graph compute from its inputs.
type GraphValue struct {
	Value
	Operator string   // of the node that computes it
	Aliases  []string // what else it is called: "features", "logits", and "c2" and so on for the levels of a pyramid
}

// Values lists what the model computes from its inputs, in the order of the nodes:
// the values that [Model.Cut] can make outputs. What is computed of shapes alone is
// left out. Shapes are what the file declares, else what follows from the operators:
// the batch is "N", or a multiple of it, and a size that is not known is open. DType
// is UNDEFINED where nothing tells it.
func (m *Model) Values() []GraphValue {
	inferred, t, aliases := m.infer(), m.tracer(), m.aliases()
	declared := map[string]Value{}
	for _, list := range [][]*pb.ValueInfoProto{m.Proto.Graph.ValueInfo, m.Proto.Graph.Output} {
		for _, p := range list {
			declared[p.Name] = valueOf(p)
		}
	}
	computed := map[string]bool{}
	for _, in := range m.Inputs() {
		computed[in.Name] = true
	}
	var out []GraphValue
	for _, n := range m.Proto.Graph.Node {
		if n.OpType == "Shape" || n.OpType == "Size" || !slices.ContainsFunc(n.Input, func(in string) bool { return computed[in] }) {
			continue
		}
		for _, name := range n.Output {
			if name == "" { // an optional output that is left out
				continue
			}
			computed[name] = true
			v := inferred[name].value(name)
			if v.DType = declared[name].DType; v.DType == pb.TensorProto_UNDEFINED && standard(n) {
				v.DType = t.elementType(name)
			}
			out = append(out, GraphValue{v, n.OpType, aliases[name]})
		}
	}
	return out
}

// aliases are the names that values have beside their own.
func (m *Model) aliases() map[string][]string {
	of := map[string][]string{}
	add := func(value, alias string) {
		if value != "" && value != alias {
			of[value] = append(of[value], alias)
		}
	}
	if feature, err := m.FeatureValue(); err == nil {
		add(feature, "features")
	}
	if o, err := m.ClassOutput(); err == nil && o.Holds == Logits {
		add(o.Value, "logits")
	}
	if spec, _, err := m.Spec(); err == nil {
		for level, value := range spec.Pyramid() {
			add(value, level)
		}
	}
	for _, names := range of {
		slices.Sort(names)
	}
	return of
}

// value is a value whose shape is what is known of a tensor.
func (t tensor) value(name string) Value {
	v := Value{Name: name, Known: t.ranked}
	for _, d := range t.dims {
		dim := Dim{Size: d.size()}
		switch {
		case d.known && d.power == 1 && d.v == 1:
			dim.Name = "N"
		case d.known && d.power == 1:
			dim.Name = strconv.FormatInt(d.v, 10) + "N"
		}
		v.Shape = append(v.Shape, dim)
	}
	return v
}
