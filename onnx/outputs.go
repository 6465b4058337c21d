package onnx

import (
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// WithOutputs returns the model with other outputs, by their names: "logits" and
// "features" are those of every model, "c2" to "c5" the levels of its feature
// pyramid (Spec.Pyramid), and other names are values of the graph. If all of them
// are levels of the pyramid, the model takes images of any size. A value that the
// graph does not have is a *ValueError.
func (m *Model) WithOutputs(names ...string) (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	levels, anySize, from := spec.Pyramid(), true, m
	outputs := make([]Output, len(names))
	for i, name := range names {
		value := name
		switch {
		case levels[name] != "":
			value = levels[name]
		case name == "logits":
			if from, value, err = m.withLogits(); err != nil {
				return nil, err
			}
		case name == "features" && spec.Feature != "":
			value = spec.Feature
		}
		anySize = anySize && levels[name] != ""
		outputs[i] = Output{Name: name, Value: value}
	}
	return from.Expose(outputs, anySize)
}

// withLogits returns the model with a value [N,K] that holds the logits, and with a
// Spec that says what makes probabilities of them. Where the model has such a value
// already, no nodes are added.
func (m *Model) withLogits() (c *Model, value string, err error) {
	o, err := m.classOutput(false)
	if err != nil {
		return nil, "", err
	}
	b := &logitsBuilder{m: m.shallow(), taken: map[string]bool{}, last: o.Value}
	names(m.Proto.Graph, b.taken)
	if o.Holds == Probabilities {
		b.logarithm(o)
	}
	if rank := m.rankOf(o.Value); rank > 0 && rank != 2 {
		b.flatten(rank)
	}
	if b.last != o.Value && o.Columns > 0 {
		g := b.m.Proto.Graph
		g.ValueInfo = append(slices.Clip(g.ValueInfo), NewValue(b.last, pb.TensorProto_FLOAT, Named("N"), Sized(o.Columns)))
	}
	spec, _, err := m.Spec()
	if err != nil {
		return nil, "", err
	}
	switch {
	case o.Scores == Sigmoid:
		spec.Scores = &Scores{Activation: o.Scores, Threshold: o.Threshold}
	case o.Activation != NoActivation:
		spec.Scores = &Scores{Activation: Softmax}
	case m.Metadata(SpecKey) == "" || spec.Scores == nil:
		return b.m, b.last, nil
	}
	c, err = b.m.WithSpec(spec)
	return c, b.last, err
}

// logitsBuilder adds nodes that make logits [N,K] of what a model computes.
type logitsBuilder struct {
	m     *Model
	taken map[string]bool // names in the graph
	last  string          // the value that they compute so far
}

func (b *logitsBuilder) add(op string, inputs []string, attributes ...*pb.AttributeProto) string {
	g := b.m.Proto.Graph
	name := freshName(b.taken, "rtx_"+strings.ToLower(op))
	g.Node = append(slices.Clip(g.Node), NewNode(op, name, inputs, attributes...))
	return name
}

func (b *logitsBuilder) constant(t *pb.TensorProto) string {
	g := b.m.Proto.Graph
	t.Name = freshName(b.taken, "rtx_constant")
	g.Initializer = append(slices.Clip(g.Initializer), t)
	return t.Name
}

// logarithm makes logits of probabilities. The least probability is that of the
// resolution of float32, so that all logits are finite.
func (b *logitsBuilder) logarithm(o ClassOutput) {
	const least = 1.0 / (1 << 24)
	p := b.add("Cast", []string{b.last}, Int("to", int64(pb.TensorProto_FLOAT)))
	p = b.add("Max", []string{p, b.constant(NewFloats("", nil, least))})
	p = b.add("Min", []string{p, b.constant(NewFloats("", nil, 1-least))})
	b.last = b.add("Log", []string{p})
	if o.Scores == Sigmoid {
		rest := b.add("Sub", []string{b.constant(NewFloats("", nil, 1)), p})
		b.last = b.add("Sub", []string{b.last, b.add("Log", []string{rest})})
	}
}

// flatten makes [N,K] of logits [N] or [N,K,1,1].
func (b *logitsBuilder) flatten(rank int) {
	if rank > 1 {
		b.last = b.add("Flatten", []string{b.last}, Int("axis", 1))
		return
	}
	b.last = b.add("Reshape", []string{b.last, b.constant(NewInts("", -1, 1))})
}
