package graph

import (
	"fmt"

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
	m = promoted(m)
	inputs := m.Inputs()
	if len(inputs) == 0 {
		return nil, fmt.Errorf("graph: %q: %w", m.Path(), onnx.ErrNoImageInput)
	}
	n := &Network{model: m, spec: spec, logits: logits, input: inputs[0].Name}
	if n.nodes, err = ordered(m, logits, ""); err != nil {
		return nil, err
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
// it reads. One value, "" for none, is taken as given.
func ordered(m *onnx.Model, value, given string) ([]*pb.NodeProto, error) {
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
		if n == nil || state[n] == done || value == given {
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

// promoted is the model with an initializer for each parameter of a layer, so that
// it is trained by itself and written like others: also for those that Constant
// nodes hold, and those of several layers that PyTorch's exporter found equal and
// made one, with Identity nodes for the others.
func promoted(m *onnx.Model) *onnx.Model {
	read := map[string]bool{}
	for _, n := range m.Proto.Graph.Node {
		if layers[n.OpType] {
			for _, in := range n.Input {
				read[in] = true
			}
		}
	}
	return m.Promote(func(value string) bool { return read[value] })
}

// layers are the operators with parameters; an Add may hold a bias.
var layers = map[string]bool{"Add": true, "BatchNormalization": true, "Conv": true, "Gemm": true, "MatMul": true}
