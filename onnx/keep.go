package onnx

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Exclusive returns the classifier with an output "logits" [N,K] whose softmax is
// the probability of each class, so that it can be trained as one of exclusive
// classes, and with the output "features". A model with plain logits for a softmax is
// returned as it is.
//
// One logit of two classes becomes two, of which the first is 0 for every image: the
// probabilities stay the same. The logits of independent classes (multi-label) are
// kept, but become those of a softmax. changed says in words what became of the
// scores, "" where nothing did. The error wraps [ErrNoLogits] where the head of one
// logit is no matrix of float32.
func (m *Model) Exclusive() (c *Model, changed string, err error) {
	o, err := m.classOutput(false)
	if err != nil {
		return nil, "", err
	}
	if o.Scores != Sigmoid {
		return m, "", nil
	}
	if o.TwoClass() {
		c, err = m.twoLogits()
		return c, "its one logit becomes the second of two, of which the first begins as 0; they get a softmax", err
	}
	if c, err = m.WithOutputs("logits", "features"); err != nil {
		return nil, "", err
	}
	spec, _, err := c.Spec()
	if err != nil {
		return nil, "", err
	}
	spec.Scores = nil
	c, err = c.WithSpec(spec)
	return c, "its classes, each with a sigmoid of its own, become exclusive ones with a softmax", err
}

// twoLogits replaces a head of one logit z by one of the logits 0 and z.
func (m *Model) twoLogits() (*Model, error) {
	classes, err := m.Classes()
	if err != nil {
		return nil, err
	}
	if len(classes) == 1 {
		classes = TwoClasses(classes[0])
	}
	output, _, err := m.scoresOutput(m.tracer(), false)
	if err != nil {
		return nil, err
	}
	h, ok := m.headOf(output, len(classes), m.tracer())
	if !ok {
		return nil, fmt.Errorf("onnx: no linear layer computes the logit %q: %w", output, ErrNoLogits)
	}
	one, err := m.oneRow(h)
	if err != nil {
		return nil, err
	}
	l := Linear{W: append(make([]float32, h.width), one.W...), B: []float32{0, one.B[0]}, D: h.width, Classes: classes}
	return m.Attach(h.input, l)
}

// TwoClasses are the names of the two classes of a model with one logit that names
// one class only.
func TwoClasses(name string) []string { return []string{"not " + name, name} }

// oneRow reads the weight and bias of a head of one logit. Nothing but a bias may be
// added to the product.
func (m *Model) oneRow(h head) (Linear, error) {
	t := m.tracer()
	l := Linear{B: []float32{0}, D: h.width}
	weight, bias := h.node.Input[1], ""
	if len(h.node.Input) > 2 {
		bias = h.node.Input[2]
	}
	for value := h.node.Output[0]; ; { // what follows the product
		readers := slices.DeleteFunc(slices.Clone(m.Proto.Graph.Node), func(n *pb.NodeProto) bool { return !slices.Contains(n.Input, value) })
		if len(readers) == 1 && readers[0].OpType == "Add" && bias == "" {
			_, bias = t.variable(readers[0])
			value = readers[0].Output[0]
			continue
		}
		if end, _ := m.classOutput(false); t.behind(end.Value) != t.behind(value) || h.node.OpType != "Gemm" && h.node.OpType != "MatMul" {
			return l, fmt.Errorf("onnx: the logit is computed by more than a matrix product and a bias, of which float32 initializers hold both: %w", ErrNoLogits)
		}
		break
	}
	for _, a := range []string{"alpha", "beta"} {
		if x := attribute(h.node, a); x != nil && x.F != 1 {
			return l, fmt.Errorf("onnx: the layer of the logit has %s %g, expected 1: %w", a, x.F, ErrNoLogits)
		}
	}
	var err error
	p := m.Promote(func(string) bool { return true })
	if l.W, err = p.Floats(weight); err == nil && bias != "" {
		l.B, err = p.Floats(bias)
	}
	if err != nil || len(l.W) != h.width || len(l.B) != 1 {
		return l, fmt.Errorf("onnx: the layer of one logit has %d weights and %d biases in float32, expected %d and 1: %w", len(l.W), len(l.B), h.width, ErrNoLogits)
	}
	return l, nil
}
