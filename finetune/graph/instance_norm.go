package graph

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// readInstanceNorm reads an InstanceNormalization: each channel of each image is
// normalised by its own mean and variance, as a batch norm of one image with N·C
// channels does. Scale and shift are parameters where they are initializers. In group
// norms, which are exported as instance norms of groups, they are constants of ones and
// zeros; see normAffine.
func readInstanceNorm(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	if len(s) < 3 {
		r.fail("an input of shape %v, expected [N,C,...]", s)
	}
	channels := s[0] * s[1]
	flat := r.reshape(x, Shape{1, channels, s[2:].Size()})
	mean := r.Apply(BatchMean{}, flat)
	filled := func(v float32) Value { return r.Constant(Shape{channels}, slices.Repeat([]float32{v}, channels)...) }
	y := r.Apply(BatchNorm{r.float(n, "epsilon", 1e-5)}, flat, mean, r.Apply(BatchVariance{}, flat, mean), filled(1), filled(0))
	y = r.reshape(y, s)
	for i, of := range []struct {
		op      string
		neutral float32
		kind    Kind
	}{{"Mul", 1, Scale}, {"Add", 0, Shift}} {
		if v, ok := r.normParameter(n, 1+i, of.neutral, of.kind); ok {
			if !v.Shape().Equal(Shape{s[1]}) {
				r.fail("input %d has shape %v, expected [%d]", 1+i, v.Shape(), s[1])
			}
			y = r.binary(of.op, y, r.reshape(v, append(Shape{s[1]}, slices.Repeat([]int{1}, len(s)-2)...)))
		}
	}
	return y
}

// normParameter returns the scale or the shift of an instance norm, and false if it is
// a constant that changes nothing.
func (r *reader) normParameter(n *pb.NodeProto, i int, neutral float32, kind Kind) (Value, bool) {
	if !has(n, i) {
		r.fail("input %d is missing", i)
	}
	if r.initializer(n.Input[i]) {
		return r.param(n, i, kind), true
	}
	if r.raw[n.Input[i]] != nil {
		_, v := r.floats(n.Input[i])
		if !slices.ContainsFunc(v, func(x float32) bool { return x != neutral }) {
			return Value{}, false
		}
	}
	return r.in(n, i), true
}

// normAffine reads a Mul or Add by which the channels of a group norm are scaled or
// shifted: the other input is an initializer, perhaps reshaped, which is a parameter.
// It returns false for all others.
func (r *reader) normAffine(n *pb.NodeProto) (Value, bool) {
	kind, ok := map[string]Kind{"Mul": Scale, "Add": Shift}[n.OpType]
	if !ok {
		return Value{}, false
	}
	for i, name := range n.Input {
		if !r.normalised(n.Input[1-i], kind == Shift) {
			continue
		}
		if r.initializer(name) {
			return r.binary(n.OpType, r.in(n, 1-i), r.param(n, i, kind)), true
		}
		if p := r.producer(name); p != nil && (p.OpType == "Reshape" || p.OpType == "Unsqueeze") && r.initializer(p.Input[0]) {
			s := r.in(n, i).Shape()
			return r.binary(n.OpType, r.in(n, 1-i), r.reshape(r.param(p, 0, kind), s)), true
		}
	}
	return Value{}, false
}

// normalised tells whether a value is the output of an instance norm, which may have
// been reshaped and, with scaled, multiplied.
func (r *reader) normalised(value string, scaled bool) bool {
	n := r.producer(value)
	switch {
	case n == nil || len(n.Input) == 0:
		return false
	case n.OpType == "InstanceNormalization":
		return true
	case n.OpType == "Reshape":
		return r.normalised(n.Input[0], scaled)
	case n.OpType == "Mul" && scaled:
		return slices.ContainsFunc(n.Input, func(v string) bool { return r.normalised(v, false) })
	}
	return false
}

// initializer tells whether a value is an initializer, not that of a Constant node.
func (r *reader) initializer(value string) bool {
	return slices.ContainsFunc(r.net.model.Proto.Graph.Initializer, func(t *pb.TensorProto) bool { return t.Name == value })
}

// producer is the node that computes a value, nil for inputs and initializers.
func (r *reader) producer(value string) *pb.NodeProto {
	for _, n := range r.net.nodes {
		if slices.Contains(n.Output, value) {
			return n
		}
	}
	return nil
}
