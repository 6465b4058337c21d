package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The versions of every model that rtx writes.
const (
	IRVersion = 8
	Opset     = 17
)

// The operator sets that rtx reads. The newest is that of onnxruntime 1.30.
const (
	OldestOpset = 9
	NewestOpset = 26
)

// ErrOpset says that a model is of an operator set that is too old or too new.
var ErrOpset = errors.New("not supported")

// CheckOpset returns an error that wraps [ErrOpset] where the model is of an operator
// set outside OldestOpset to NewestOpset.
func (m *Model) CheckOpset() error {
	if v := m.Opset(); v != 0 && (v < OldestOpset || v > NewestOpset) {
		return fmt.Errorf("onnx: %q: %w: opset %d, expected %d to %d", m.Name(), ErrOpset, v, OldestOpset, NewestOpset)
	}
	return nil
}

// irVersions are the IR versions after 8, each with the operator set that came
// with it (ONNX, docs/Versioning.md).
var irVersions = []struct{ opset, ir int64 }{{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}}

// Opset is the version of the standard operator set, 0 where the model declares
// none.
func (m *Model) Opset() int64 {
	for _, o := range m.Proto.OpsetImport {
		if o.Domain == "" || o.Domain == "ai.onnx" {
			return o.Version
		}
	}
	return 0
}

// WithOpset returns the model in another version of the standard operator set,
// from OldestOpset to NewestOpset, in that set's IR version or in 8 if that is
// later. Its producer is rtx. An operator that is not known well enough, or that
// cannot be expressed in the other set, is an error.
func (m *Model) WithOpset(to int64) (*Model, error) {
	from := m.Opset()
	for _, v := range []int64{from, to} {
		if v < OldestOpset || v > NewestOpset {
			return nil, fmt.Errorf("onnx: opset %d, expected %d to %d", v, OldestOpset, NewestOpset)
		}
	}
	c := m.shallow()
	v := versioner{from: from, to: to, constants: m.constantTensors(), taken: map[string]bool{}}
	g := c.Proto.Graph
	names(g, v.taken)
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

// constantTensors are the initializers and the tensors of Constant nodes, by
// name.
func (m *Model) constantTensors() map[string]*pb.TensorProto {
	all := map[string]*pb.TensorProto{}
	for _, t := range m.Proto.Graph.Initializer {
		all[t.Name] = t
	}
	for _, n := range m.Proto.Graph.Node {
		if len(n.Output) == 1 && n.OpType == "Constant" && attribute(n, "value") != nil {
			all[n.Output[0]] = attribute(n, "value").T
		}
	}
	return all
}

// versioner converts the nodes of a graph from one operator set to another.
type versioner struct {
	from, to  int64
	constants map[string]*pb.TensorProto
	taken     map[string]bool   // names in the graph
	added     []*pb.TensorProto // new constants
	nodes     []*pb.NodeProto   // converted so far
}

func (v *versioner) node(n *pb.NodeProto) error {
	if !standard(n) {
		v.nodes = append(v.nodes, n)
		return nil
	}
	op := operators[n.OpType]
	if op.since == 0 && v.from != v.to {
		return fmt.Errorf("operator %s is not known well enough", n.OpType)
	}
	if op.since > v.to {
		return fmt.Errorf("operator %s came with opset %d", n.OpType, op.since)
	}
	if op.convert != nil && v.from != v.to {
		n = proto.CloneOf(n)
		if err := op.convert(v, n); err != nil {
			return fmt.Errorf("%s: %w", n.OpType, err)
		}
	}
	v.nodes = append(v.nodes, n)
	return nil
}

// up tells whether the conversion is from before the given operator set to that
// set or a later one; down, whether it is the other way.
func (v *versioner) up(at int64) bool   { return v.from < at && v.to >= at }
func (v *versioner) down(at int64) bool { return v.from >= at && v.to < at }

// setInput makes a new constant the input of a node at a place.
func (v *versioner) setInput(n *pb.NodeProto, at int, t *pb.TensorProto) {
	for len(n.Input) <= at {
		n.Input = append(n.Input, "")
	}
	t.Name = freshName(v.taken, t.Name)
	v.added = append(v.added, t)
	n.Input[at] = t.Name
}

// takeInput removes an input of a node and returns its values, nil where the node
// has no such input. Only constants of int64 can be taken.
func (v *versioner) takeInput(n *pb.NodeProto, at int) ([]int64, error) {
	if len(n.Input) <= at || n.Input[at] == "" {
		return nil, nil
	}
	values, ok := int64s(v.constants[n.Input[at]])
	if !ok {
		return nil, fmt.Errorf("input %d is not constant", at)
	}
	n.Input[at] = ""
	for len(n.Input) > 0 && n.Input[len(n.Input)-1] == "" {
		n.Input = n.Input[:len(n.Input)-1]
	}
	return values, nil
}
