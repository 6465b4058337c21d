package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The versions of every model that rtx writes.
const (
	IRVersion = 8
	Opset     = 17
)

// irVersions are the first operator sets of the IR versions that came with
// them, from IR 8 on (ONNX, docs/Versioning.md).
var irVersions = []struct{ opset, ir int64 }{{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}}

// WithOpset returns the model, rtx its producer, with its operators as another
// operator set has them, from OldestOpset to NewestOpset, and with the IR
// version of that set but at least 8. It refuses operators that it does not know, and those that
// cannot be said in the other set.
func (m *Model) WithOpset(to int64) (*Model, error) {
	from := m.Opset()
	for _, v := range []int64{from, to} {
		if v < OldestOpset || v > NewestOpset {
			return nil, fmt.Errorf("onnx: opset %d, expected %d to %d", v, OldestOpset, NewestOpset)
		}
	}
	c := m.shallow()
	v := versioner{from: from, to: to, constants: map[string]*pb.TensorProto{}, taken: map[string]bool{}}
	g := c.Proto.Graph
	names(g, v.taken)
	for _, t := range g.Initializer {
		v.constants[t.Name] = t
	}
	for _, n := range g.Node {
		if len(n.Output) == 1 && n.OpType == "Constant" && attribute(n, "value") != nil {
			v.constants[n.Output[0]] = attribute(n, "value").T
		}
	}
	for _, n := range g.Node {
		if err := v.node(n); err != nil {
			return nil, fmt.Errorf("onnx: node %q from opset %d to %d: %w", nodeName(n), from, to, err)
		}
	}
	g.Node = v.nodes
	g.Initializer = append(slices.Clip(g.Initializer), v.added...)
	c.prune()
	c.Proto.ProducerName, c.Proto.ProducerVersion, c.Proto.DocString = "rtx", "", ""
	c.Proto.IrVersion = IRVersion
	for _, r := range irVersions {
		if to >= r.opset {
			c.Proto.IrVersion = r.ir
			break
		}
	}
	c.Proto.OpsetImport = []*pb.OperatorSetIdProto{{Version: to}}
	for _, o := range m.Proto.OpsetImport {
		if o.Domain != "" && o.Domain != "ai.onnx" {
			c.Proto.OpsetImport = append(c.Proto.OpsetImport, o)
		}
	}
	return c, nil
}

// versioner carries nodes from one operator set to another.
type versioner struct {
	from, to  int64
	constants map[string]*pb.TensorProto
	taken     map[string]bool
	added     []*pb.TensorProto
	nodes     []*pb.NodeProto
}

// rule says from which operator set on an operator means what it means here,
// and how nodes change with the set.
type rule struct {
	since  int64
	change func(*versioner, *pb.NodeProto) error // nil: only types were added
}

var rules = map[string]rule{
	"Add": {since: 7}, "Sub": {since: 7}, "Mul": {since: 7}, "Div": {since: 7}, "Relu": {since: 6}, "Sigmoid": {since: 6},
	"HardSigmoid": {since: 6}, "HardSwish": {since: 14}, "LeakyRelu": {since: 6}, "PRelu": {since: 9}, "Elu": {since: 6}, "Tanh": {since: 6},
	"Exp": {since: 6}, "Sqrt": {since: 6}, "Neg": {since: 6}, "Abs": {since: 6}, "Pow": {since: 7}, "Max": {since: 8}, "Min": {since: 8},
	"MatMul": {since: 9}, "Conv": {since: 1}, "GlobalAveragePool": {since: 1}, "Transpose": {since: 1}, "Identity": {since: 1},
	"Concat": {since: 4, change: axisFrom(11)}, "Flatten": {since: 9, change: axisFrom(11)}, "Gather": {since: 1, change: axisFrom(11)},
	"Cast": {since: 9}, "ConstantOfShape": {since: 9}, "Constant": {since: 9, change: plainConstant}, "Shape": {since: 1, change: without(15, "start", "end")},
	"Reshape": {since: 5, change: without(14, "allowzero")}, "BatchNormalization": {since: 9, change: without(14, "training_mode")},
	"MaxPool": {since: 8, change: without(10, "dilations", "ceil_mode")}, "AveragePool": {since: 7, change: averagePool},
	"Gemm": {since: 9, change: gemm}, "Softmax": {since: 1, change: lastAxis}, "LogSoftmax": {since: 1, change: lastAxis},
	"Clip": {since: 6, change: clip}, "Pad": {since: 2, change: pad}, "Slice": {since: 1, change: slice},
	"ReduceMean": {since: 1, change: ints(18, 1, "axes")}, "ReduceSum": {since: 1, change: ints(13, 1, "axes")},
	"Squeeze": {since: 1, change: ints(13, 1, "axes")}, "Unsqueeze": {since: 1, change: ints(13, 1, "axes")},
	"Split": {since: 2, change: split},
}

func (v *versioner) node(n *pb.NodeProto) error {
	if !standard(n) {
		v.nodes = append(v.nodes, n)
		return nil
	}
	r, ok := rules[n.OpType]
	if !ok && v.from != v.to {
		return fmt.Errorf("operator %s is not known well enough", n.OpType)
	}
	if r.since > v.to {
		return fmt.Errorf("operator %s came with opset %d", n.OpType, r.since)
	}
	if r.change != nil && v.from != v.to {
		n = proto.CloneOf(n)
		if err := r.change(v, n); err != nil {
			return fmt.Errorf("%s: %w", n.OpType, err)
		}
	}
	v.nodes = append(v.nodes, n)
	return nil
}

// up tells that the conversion passes the set that changed an operator.
func (v *versioner) up(at int64) bool   { return v.from < at && v.to >= at }
func (v *versioner) down(at int64) bool { return v.from >= at && v.to < at }

// take removes an attribute and returns it.
func take(n *pb.NodeProto, name string) *pb.AttributeProto {
	a := attribute(n, name)
	n.Attribute = slices.DeleteFunc(n.Attribute, func(b *pb.AttributeProto) bool { return b == a })
	return a
}

// without drops attributes that came with a set, where they say what would be
// so without them.
func without(at int64, attributes ...string) func(*versioner, *pb.NodeProto) error {
	return func(v *versioner, n *pb.NodeProto) error {
		for _, name := range attributes {
			if !v.down(at) {
				return nil
			}
			a := take(n, name)
			if a.GetI() != 0 || slices.ContainsFunc(a.GetInts(), func(i int64) bool { return i != 1 }) || name == "start" && a != nil {
				return fmt.Errorf("attribute %q came with opset %d", name, at)
			}
		}
		return nil
	}
}

// axisFrom refuses a negative axis before the set that brought them.
func axisFrom(at int64) func(*versioner, *pb.NodeProto) error {
	return func(v *versioner, n *pb.NodeProto) error {
		if a := attribute(n, "axis"); v.down(at) && a.GetI() < 0 {
			return fmt.Errorf("a negative axis came with opset %d", at)
		}
		return nil
	}
}

func plainConstant(v *versioner, n *pb.NodeProto) error {
	if v.down(12) && attribute(n, "value") == nil {
		return fmt.Errorf("a constant without a tensor came with opset 12")
	}
	return nil
}

func gemm(v *versioner, n *pb.NodeProto) error {
	if v.down(11) && len(n.Input) < 3 {
		return fmt.Errorf("without C it came with opset 11")
	}
	return nil
}

func averagePool(v *versioner, n *pb.NodeProto) error {
	if err := without(19, "dilations")(v, n); err != nil {
		return err
	}
	return without(10, "ceil_mode")(v, n)
}

// lastAxis passes opset 13, before which softmax flattened from axis on, where
// both mean the last of two dimensions.
func lastAxis(v *versioner, n *pb.NodeProto) error {
	a := attribute(n, "axis")
	if v.up(13) && a == nil {
		n.Attribute = append(n.Attribute, Int("axis", 1))
	}
	if v.down(13) && a == nil {
		n.Attribute = append(n.Attribute, Int("axis", -1))
	}
	if a = attribute(n, "axis"); (v.up(13) || v.down(13)) && a.I != 1 && a.I != -1 {
		return fmt.Errorf("axis %d means something else across opset 13", a.I)
	}
	if v.down(11) && a.GetI() < 0 {
		a.I = 1
	}
	return nil
}

// ints moves a list between an attribute and an input.
func ints(at int64, input int, name string) func(*versioner, *pb.NodeProto) error {
	return func(v *versioner, n *pb.NodeProto) error {
		if v.up(at) {
			if a := take(n, name); a != nil {
				v.input(n, input, NewInts(n.Name+"/"+name, a.Ints...))
			}
		}
		if v.down(at) {
			values, err := v.output(n, input)
			if err != nil {
				return err
			}
			if values != nil {
				n.Attribute = append(n.Attribute, Ints(name, values...))
			}
			if name == "axes" {
				if take(n, "noop_with_empty_axes").GetI() != 0 && values == nil {
					return fmt.Errorf("attribute %q came with opset %d", "noop_with_empty_axes", at)
				}
			}
		}
		return nil
	}
}

func split(v *versioner, n *pb.NodeProto) error {
	if err := ints(13, 1, "split")(v, n); err != nil {
		return err
	}
	if v.down(18) {
		take(n, "num_outputs")
	}
	if v.up(18) && (len(n.Input) < 2 || n.Input[1] == "") {
		n.Attribute = append(n.Attribute, Int("num_outputs", int64(len(n.Output))))
	}
	return nil
}

// clip moves the limits, attributes before opset 11.
func clip(v *versioner, n *pb.NodeProto) error {
	limits := []struct {
		name string
		none float32
	}{{"min", -math.MaxFloat32}, {"max", math.MaxFloat32}}
	for i, l := range limits {
		if v.up(11) {
			if a := take(n, l.name); a != nil {
				v.input(n, i+1, NewFloats(n.Name+"/"+l.name, nil, float64(a.F)))
			}
		}
		if v.down(11) && len(n.Input) > i+1 && n.Input[i+1] != "" {
			x, ok := scalar(v.constants[n.Input[i+1]])
			if !ok {
				return fmt.Errorf("%s is no constant", l.name)
			}
			n.Attribute = append(n.Attribute, Float(l.name, x))
		}
	}
	if v.down(11) {
		n.Input = n.Input[:1]
	}
	return nil
}

// pad moves pads and the value, attributes before opset 11.
func pad(v *versioner, n *pb.NodeProto) error {
	if len(n.Input) > 3 && n.Input[3] != "" && v.down(18) {
		return fmt.Errorf("axes came with opset 18")
	}
	if v.up(11) {
		a, value := take(n, "pads"), take(n, "value")
		if a == nil {
			return fmt.Errorf("it has no pads")
		}
		v.input(n, 1, NewInts(n.Name+"/pads", a.Ints...))
		if value != nil {
			v.input(n, 2, NewFloats(n.Name+"/value", nil, float64(value.F)))
		}
	}
	if v.down(11) {
		if len(n.Input) > 2 && n.Input[2] != "" {
			x, ok := scalar(v.constants[n.Input[2]])
			if !ok {
				return fmt.Errorf("value is no constant")
			}
			n.Attribute = append(n.Attribute, Float("value", x))
			n.Input = n.Input[:2]
		}
		return ints(11, 1, "pads")(v, n)
	}
	return nil
}

// slice moves starts, ends and axes, attributes before opset 10.
func slice(v *versioner, n *pb.NodeProto) error {
	if v.down(10) && len(n.Input) > 4 && n.Input[4] != "" {
		steps, err := v.output(n, 4)
		if err != nil || slices.ContainsFunc(steps, func(s int64) bool { return s != 1 }) {
			return fmt.Errorf("steps came with opset 10")
		}
	}
	order := []string{"starts", "ends", "axes"}
	if v.down(10) {
		slices.Reverse(order) // from the last input on
	}
	for _, name := range order {
		if err := ints(10, map[string]int{"starts": 1, "ends": 2, "axes": 3}[name], name)(v, n); err != nil {
			return err
		}
	}
	return nil
}

// input puts a constant at a place among a node's inputs.
func (v *versioner) input(n *pb.NodeProto, at int, t *pb.TensorProto) {
	for len(n.Input) <= at {
		n.Input = append(n.Input, "")
	}
	t.Name = freshName(v.taken, t.Name)
	v.added = append(v.added, t)
	n.Input[at] = t.Name
}

// output takes a constant list from a node's inputs, nil where there is none.
func (v *versioner) output(n *pb.NodeProto, at int) ([]int64, error) {
	if len(n.Input) <= at || n.Input[at] == "" {
		return nil, nil
	}
	values, ok := int64s(v.constants[n.Input[at]])
	if !ok {
		return nil, fmt.Errorf("input %d is no constant", at)
	}
	n.Input[at] = ""
	for len(n.Input) > 0 && n.Input[len(n.Input)-1] == "" {
		n.Input = n.Input[:len(n.Input)-1]
	}
	return values, nil
}

// int64s reads a small int64 tensor.
func int64s(t *pb.TensorProto) ([]int64, bool) {
	if t == nil || t.DataType != int32(pb.TensorProto_INT64) {
		return nil, false
	}
	if len(t.Int64Data) > 0 {
		return t.Int64Data, true
	}
	out := make([]int64, 0, len(t.RawData)/8)
	for b := t.RawData; len(b) >= 8; b = b[8:] {
		out = append(out, int64(binary.LittleEndian.Uint64(b)))
	}
	return out, int64(len(out)) == elements(t.Dims)
}

// scalar reads a float32 tensor of one element.
func scalar(t *pb.TensorProto) (float32, bool) {
	switch {
	case t == nil || t.DataType != int32(pb.TensorProto_FLOAT) || elements(t.Dims) != 1:
		return 0, false
	case len(t.FloatData) == 1:
		return t.FloatData[0], true
	case len(t.RawData) == 4:
		return math.Float32frombits(binary.LittleEndian.Uint32(t.RawData)), true
	}
	return 0, false
}
