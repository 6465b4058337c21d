package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Read resolves a model: the nodes that lead to its logits, and its parameters.
// Operators that cannot be trained, dynamic shapes and weights of other types
// than float32 are errors, which name the node, the operator and the opset.
func Read(m *onnx.Model) (*Network, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	return ReadSpec(m, spec)
}

// ReadSpec is Read with a Spec in place of the model's.
func ReadSpec(m *onnx.Model, spec onnx.Spec) (*Network, error) {
	logits, _, err := m.LogitsValue()
	if err != nil {
		return nil, err
	}
	inputs := m.Inputs()
	if len(inputs) == 0 {
		return nil, fmt.Errorf("graph: %q: %w", m.Path(), onnx.ErrNoImageInput)
	}
	n := &Network{model: m, spec: spec, logits: logits, input: inputs[0].Name, identities: map[string]string{}}
	if n.nodes, err = ordered(m, logits); err != nil {
		return nil, err
	}
	initial := map[string]bool{}
	for _, t := range m.Proto.Graph.Initializer {
		initial[t.Name] = true
	}
	for _, node := range n.nodes {
		if node.OpType == "Identity" && len(node.Input) == 1 {
			if initial[node.Input[0]] || n.identities[node.Input[0]] != "" {
				n.identities[node.Output[0]] = node.Input[0]
			}
		}
	}
	// A trial says what does not fit, and collects the parameters.
	n.collect = true
	if _, err := n.Program(Config{Batch: 2, Adapt: true, Train: func(Param) (Rule, bool) { return Rule{}, true }}); err != nil {
		return nil, err
	}
	n.collect = false
	return n, nil
}

// note collects a parameter during the trial.
func (n *Network) note(p Param) {
	if n.collect {
		n.params = append(n.params, p)
	}
}

// ordered returns the nodes that lead to a value, each after those whose values
// it reads.
func ordered(m *onnx.Model, value string) ([]*pb.NodeProto, error) {
	producer := map[string]*pb.NodeProto{}
	for _, n := range m.Proto.Graph.Node {
		for _, o := range n.Output {
			producer[o] = n
		}
	}
	const open, done = 1, 2
	state := map[*pb.NodeProto]int{}
	var out []*pb.NodeProto
	var visit func(value string) error
	visit = func(value string) error {
		n := producer[value]
		if n == nil || state[n] == done {
			return nil
		}
		if state[n] == open {
			return fmt.Errorf("graph: node %q reads its own output: %w", n.Name, onnx.ErrFormat)
		}
		state[n] = open
		for _, in := range n.Input {
			if err := visit(in); err != nil {
				return err
			}
		}
		state[n] = done
		out = append(out, n)
		return nil
	}
	return out, visit(value)
}

// whole handles what computes shapes and other small integers: they are known
// once the batch size is. It tells whether the node was such a one.
func (r *reader) whole(n *pb.NodeProto) bool {
	if n.OpType == "Constant" {
		r.constantNode(n)
		return true
	}
	if n.OpType == "Shape" {
		if v, ok := r.values[n.Input[0]]; ok {
			r.ints[n.Output[0]] = slices.Clone(v.Shape())
		} else {
			s, _ := r.floats(n.Input[0])
			r.ints[n.Output[0]] = s
		}
		return true
	}
	return false
}
