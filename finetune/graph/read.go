package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Read makes a network of the nodes that values of a model depend on, and their
// parameters. Values are named as in the ONNX graph and may have any rank; without
// any, they are the logits. Unsupported operators, dynamic shapes and weights of
// other types than float32 are errors that name the node, the operator and the
// opset.
//
// Of a detector (Spec.Detect) values of all its parts may be named. The inputs of its
// heads are then inputs of programs, of Config.Batch rows unless they are Given.
func Read(m *onnx.Model, values ...string) (*Network, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	logits := len(values) == 0
	if logits {
		value, _, err := m.LogitsValue()
		if err != nil {
			return nil, err
		}
		values = []string{value}
	}
	source := m
	m = promoted(m)
	inputs := m.Inputs()
	if len(inputs) == 0 {
		return nil, fmt.Errorf("graph: %q: %w", m.Name(), onnx.ErrNoImageInput)
	}
	n := &Network{source: source, model: m, spec: spec, results: slices.Clone(values), logits: logits, input: inputs[0].Name}
	if slices.ContainsFunc(inputs, func(v onnx.Value) bool { return v.Name == spec.Input }) {
		n.input = spec.Input
	}
	if n.nodes, err = ordered(m, values, nil); err != nil {
		return nil, err
	}
	if spec.Detect != nil {
		n.more = slices.DeleteFunc(inputs, func(v onnx.Value) bool { return v.Name == n.input })
		if n.trunk, err = trunkOf(m, spec.Stages); err != nil {
			return nil, err
		}
	}
	n.learned = learned(n.nodes)
	// Building a program with all gradients checks the model and collects its parameters.
	n.collect = true
	if _, err := n.Program(Config{Batch: 2, Adapt: true, Train: func(Param) (Rule, bool) { return Rule{}, true }}, total); err != nil {
		return nil, err
	}
	n.collect = false
	return n, nil
}

// trunkOf returns the names of what the stages of a model depend on, parameters among
// them.
func trunkOf(m *onnx.Model, stages []onnx.Stage) (map[string]bool, error) {
	var values []string
	for _, s := range stages {
		values = append(values, s.Value)
	}
	nodes, err := ordered(m, values, nil)
	names := map[string]bool{}
	for _, n := range nodes {
		for _, in := range n.Input {
			names[in] = true
		}
	}
	return names, err
}

// total is the objective of Read's trial program: the sum of all elements of the
// results.
func total(b *Builder) (loss Value, outputs []Named) {
	var sums []Value
	for _, v := range b.Results() {
		sums = append(sums, b.Apply(ReduceTo{Shape{}}, v))
	}
	if len(sums) == 1 {
		return sums[0], nil
	}
	return b.Apply(Sum{}, sums...), nil
}

// resultWord names the kind of the results in messages.
func (n *Network) resultWord() string {
	if n.logits {
		return "logits"
	}
	return "value"
}

// param returns the network's parameter of this name. During Read's trial it adds
// new ones.
func (n *Network) param(p Param) Param {
	if i := slices.IndexFunc(n.params, func(q Param) bool { return q.Name == p.Name }); i >= 0 {
		return n.params[i]
	}
	if n.spec.Detect != nil {
		p.Head = !n.trunk[p.Name]
	} else if h := n.spec.Head; h != nil {
		p.Head = p.Name == h.Weight || p.Name == h.Bias
	}
	if n.collect {
		n.params = append(n.params, p)
	}
	return p
}

// ordered returns the nodes that values depend on, in topological order. It stops at
// given values.
func ordered(m *onnx.Model, values []string, given map[string]bool) ([]*pb.NodeProto, error) {
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
		if n == nil || state[n] == done || given[value] {
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
	for _, v := range values {
		if err := visit(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// promoted returns the model with an initializer of its own for each parameter of
// each layer, so that all are trained and written alike. Exporters also keep
// parameters in Constant nodes, and PyTorch's stores equal parameters of several
// layers once, with Identity nodes for the others.
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
var layers = map[string]bool{"Add": true, "BatchNormalization": true, "Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true}
