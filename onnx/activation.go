package onnx

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// activation recognises the node that computes value as the last of an activation,
// and tells what the logits before it are.
func (t *tracer) activation(n *pb.NodeProto, value string) (tail, bool) {
	found := tail{holds: Logits, known: true}
	switch n.OpType {
	case "Softmax", "LogSoftmax":
		found.value, found.activation = n.Input[0], Softmax
		if n.OpType == "LogSoftmax" {
			found.activation = LogSoftmax
		}
		axis, given := int64(-1), attribute(n, "axis")
		if t.m.Opset() < 13 {
			axis = 1
		}
		if given != nil {
			axis = given.I
		}
		if why := t.otherAxis(n.Input[0], axis, t.m.Opset() < 13); why != "" {
			found.notes = append(found.notes, fmt.Sprintf("%q is a %s over %s, not over the classes: what is before it is taken for the logits", value, n.OpType, why))
			found.activation = NoActivation
		}
		return found, true
	case "Sigmoid":
		found.value, found.activation = n.Input[0], Sigmoid
		return found, true
	case "HardSigmoid":
		return tail{value: value, holds: Probabilities, activation: Sigmoid, known: true}, true
	case "DequantizeLinear":
		return t.quantizedActivation(n, value)
	case "Concat":
		found, _, ok := t.complement(n, value)
		return found, ok
	case "Gather", "Slice":
		return t.columnOfTwo(n, value)
	}
	if logits, ok := t.computedSoftmax(n); ok {
		found.value, found.activation = logits, Softmax
		return found, true
	}
	if logits, ok := t.computedLogSoftmax(n); ok {
		found.value, found.activation = logits, LogSoftmax
		return found, true
	}
	if logits, ok := t.computedSigmoid(n); ok {
		found.value, found.activation = logits, Sigmoid
		return found, true
	}
	return found, false
}

// otherAxis names the axis of a softmax where it is not that of the classes: the
// batch, or one of size 1 beside one that is larger. flattened says that all axes
// from this one on are taken together, as before opset 13.
func (t *tracer) otherAxis(input string, axis int64, flattened bool) string {
	dims := t.shape(input)
	if axis == 0 || dims != nil && axis == -int64(len(dims)) {
		return "axis 0, the batch"
	}
	if dims == nil || flattened {
		return ""
	}
	at := axis
	if at < 0 {
		at += int64(len(dims))
	}
	if at < 1 || at >= int64(len(dims)) {
		return fmt.Sprintf("axis %d", axis)
	}
	if dims[at] != 1 || !slices.ContainsFunc(dims[1:], func(d int64) bool { return d > 1 }) {
		return ""
	}
	return fmt.Sprintf("axis %d, which has one value", axis)
}

// shape is the shape of a value as far as it can be told: that the file declares, or
// that of a convolution over pooled values. Open sizes are -1; nil: not known.
func (t *tracer) shape(value string) []int64 {
	g := t.m.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Output, g.ValueInfo} {
		for _, p := range list {
			v := valueOf(p)
			if p.Name != value || !v.Known {
				continue
			}
			out := make([]int64, len(v.Shape))
			for i, d := range v.Shape {
				if out[i] = d.Size; d.Size == 0 {
					out[i] = -1
				}
			}
			return out
		}
	}
	n := t.producer[value]
	if n == nil || len(n.Input) < 2 {
		return nil
	}
	if w := t.dims(n.Input[1]); n.OpType == "Conv" && len(w) == 4 && t.pooled(n.Input[0]) {
		return []int64{-1, w[0], 1, 1}
	}
	if n.OpType == "Add" { // of a bias
		if v, _ := t.variable(n); v != "" {
			return t.shape(v)
		}
	}
	return nil
}

// quantizedActivation recognises the softmax and sigmoid of onnxruntime that compute
// 8-bit numbers, whose logits are 8-bit numbers too.
func (t *tracer) quantizedActivation(n *pb.NodeProto, value string) (tail, bool) {
	p := t.producer[t.behind(n.Input[0])]
	if p == nil || p.OpType != "QLinearSoftmax" && p.OpType != "QLinearSigmoid" {
		return tail{}, false
	}
	found := tail{value: value, holds: Probabilities, activation: Softmax, known: true}
	if p.OpType == "QLinearSigmoid" {
		found.activation = Sigmoid
	}
	return found, true
}

// complement recognises [1-p, p], the probabilities of two classes by one sigmoid,
// in either order. It also names p.
func (t *tracer) complement(n *pb.NodeProto, value string) (found tail, p string, ok bool) {
	if axis := attribute(n, "axis").GetI(); len(n.Input) != 2 || axis != 1 && axis != -1 {
		return tail{}, "", false
	}
	for i, in := range n.Input {
		sub := t.producer[t.behind(in)]
		if sub == nil || sub.OpType != "Sub" || len(sub.Input) != 2 {
			continue
		}
		if one, ok := t.number(sub.Input[0]); !ok || one != 1 || t.behind(sub.Input[1]) != t.behind(n.Input[1-i]) {
			continue
		}
		if p := n.Input[1-i]; t.tail(p).activation == Sigmoid {
			return tail{value: value, holds: Probabilities, activation: Softmax, known: true}, p, true
		}
	}
	return tail{}, "", false
}

// computedSoftmax recognises exp(x) / sum(exp(x)).
func (t *tracer) computedSoftmax(n *pb.NodeProto) (logits string, ok bool) {
	if len(n.Input) != 2 {
		return "", false
	}
	exp, sum := n.Input[0], n.Input[1]
	if n.OpType == "Mul" { // by the reciprocal, in either order
		for range 2 {
			if r := t.producer[sum]; r != nil && r.OpType == "Reciprocal" && len(r.Input) == 1 {
				break
			}
			exp, sum = sum, exp
		}
		r := t.producer[sum]
		if r == nil || r.OpType != "Reciprocal" || len(r.Input) != 1 {
			return "", false
		}
		sum = r.Input[0]
	} else if n.OpType != "Div" {
		return "", false
	}
	e := t.producer[exp]
	if e == nil || e.OpType != "Exp" || len(e.Input) != 1 || !t.sums(sum, exp, "ReduceSum", "ReduceL1") {
		return "", false
	}
	return t.unshifted(e.Input[0]), true
}

// computedLogSoftmax recognises x - log(sum(exp(x))).
func (t *tracer) computedLogSoftmax(n *pb.NodeProto) (logits string, ok bool) {
	if n.OpType != "Sub" || len(n.Input) != 2 {
		return "", false
	}
	x, norm := n.Input[0], n.Input[1]
	if t.sums(norm, x, "ReduceLogSumExp") {
		return t.unshifted(x), true
	}
	log := t.producer[norm]
	if log == nil || log.OpType != "Log" || len(log.Input) != 1 {
		return "", false
	}
	sum := t.producer[log.Input[0]]
	if sum == nil || len(sum.Input) == 0 {
		return "", false
	}
	e := t.producer[sum.Input[0]]
	if e == nil || e.OpType != "Exp" || len(e.Input) != 1 || e.Input[0] != x || !t.sums(log.Input[0], sum.Input[0], "ReduceSum", "ReduceL1") {
		return "", false
	}
	return t.unshifted(x), true
}

// sums tells whether one of these operators makes sum of a value, over the classes
// and keeping the dimension.
func (t *tracer) sums(sum, of string, operators ...string) bool {
	n := t.producer[sum]
	if n == nil || !slices.Contains(operators, n.OpType) || len(n.Input) == 0 || n.Input[0] != of {
		return false
	}
	if keep := attribute(n, "keepdims"); keep != nil && keep.I == 0 {
		return false
	}
	axes, ok := t.integers(n, "axes", 1)
	return ok && len(axes) == 1 && t.otherAxis(of, axes[0], false) == ""
}

// unshifted is x where a value is x - max(x), which has the same softmax.
func (t *tracer) unshifted(value string) string {
	n := t.producer[value]
	if n != nil && n.OpType == "Sub" && len(n.Input) == 2 && t.sums(n.Input[1], n.Input[0], "ReduceMax") {
		return n.Input[0]
	}
	return value
}

// computedSigmoid recognises 1 / (1 + exp(-x)).
func (t *tracer) computedSigmoid(n *pb.NodeProto) (logits string, ok bool) {
	sum := ""
	switch {
	case n.OpType == "Reciprocal":
		sum = n.Input[0]
	case n.OpType == "Div" && len(n.Input) == 2:
		if one, ok := t.number(n.Input[0]); ok && one == 1 {
			sum = n.Input[1]
		}
	}
	add := t.producer[sum]
	if add == nil || add.OpType != "Add" {
		return "", false
	}
	exp, constant := t.variable(add)
	e := t.producer[exp]
	if one, ok := t.number(constant); !ok || one != 1 || e == nil || e.OpType != "Exp" || len(e.Input) != 1 {
		return "", false
	}
	neg := t.producer[e.Input[0]]
	if neg == nil || len(neg.Input) == 0 {
		return "", false
	}
	if neg.OpType == "Neg" {
		return neg.Input[0], true
	}
	if v, c := t.variable(neg); neg.OpType == "Mul" && v != "" {
		minus, ok := t.number(c)
		return v, ok && minus == -1
	}
	return "", false
}
