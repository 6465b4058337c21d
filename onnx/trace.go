package onnx

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// tracer follows the values of a graph back to the nodes that compute them, and
// tells which of them are constant.
type tracer struct {
	m        *Model
	producer map[string]*pb.NodeProto
	tensors  map[string]*pb.TensorProto // initializers, and the tensors of Constant nodes
	constant map[string]bool            // values that have been looked at
}

func (m *Model) tracer() *tracer {
	t := &tracer{m: m, producer: m.producers(), tensors: map[string]*pb.TensorProto{}, constant: map[string]bool{}}
	for _, i := range m.Proto.Graph.Initializer {
		t.tensors[i.Name] = i
	}
	for _, n := range m.Proto.Graph.Node {
		if n.OpType != "Constant" || len(n.Output) != 1 {
			continue
		}
		if tensor := constantOf(n); tensor != nil {
			t.tensors[n.Output[0]] = tensor
		} else if a := attribute(n, "value"); a != nil && a.T != nil {
			t.tensors[n.Output[0]] = a.T
		}
	}
	return t
}

// isConstant tells whether a value does not depend on the graph's inputs: it is an
// initializer, or is computed of constants alone.
func (t *tracer) isConstant(value string) bool {
	if known, seen := t.constant[value]; seen {
		return known
	}
	t.constant[value] = false // a damaged graph may have cycles
	n := t.producer[value]
	constant := t.tensors[value] != nil || n != nil && n.OpType == "Constant"
	if !constant && n != nil && len(n.Input) > 0 {
		constant = !slices.ContainsFunc(n.Input, func(in string) bool { return in != "" && !t.isConstant(in) })
	}
	t.constant[value] = constant
	return constant
}

// variable returns the operand of a node with two inputs that is not constant, and
// the one that is; both are "" where two or none are constant.
func (t *tracer) variable(n *pb.NodeProto) (variable, constant string) {
	if len(n.Input) != 2 || t.isConstant(n.Input[0]) == t.isConstant(n.Input[1]) {
		return "", ""
	}
	if t.isConstant(n.Input[0]) {
		return n.Input[1], n.Input[0]
	}
	return n.Input[0], n.Input[1]
}

// dims are the sizes of a constant, as far as they follow from an initializer by
// nodes that keep or permute them; nil where they do not.
func (t *tracer) dims(value string) []int64 {
	var perms [][]int64
	for range len(t.producer) + 1 {
		if tensor := t.tensors[value]; tensor != nil {
			d := slices.Clone(tensor.Dims)
			for _, p := range slices.Backward(perms) {
				d = permuted(d, p)
			}
			return d
		}
		n := t.producer[value]
		if n == nil || len(n.Input) == 0 {
			return nil
		}
		switch n.OpType {
		case "Identity", "Cast", "DequantizeLinear", "QuantizeLinear":
		case "Transpose":
			perms = append(perms, attribute(n, "perm").GetInts())
		default:
			return nil
		}
		value = n.Input[0]
	}
	return nil
}

// permuted are sizes in another order, that of Transpose's attribute perm. nil
// reverses them.
func permuted(dims, perm []int64) []int64 {
	out := slices.Clone(dims)
	if len(perm) == 0 {
		slices.Reverse(out)
		return out
	}
	if len(perm) != len(dims) {
		return nil
	}
	for i, p := range perm {
		if p < 0 || int(p) >= len(dims) {
			return nil
		}
		out[i] = dims[p]
	}
	return out
}

// number is a constant of one element, behind Cast, Identity or a change of shape.
func (t *tracer) number(value string) (float64, bool) {
	for range len(t.producer) + 1 {
		if tensor := t.tensors[value]; tensor != nil {
			return t.m.number(tensor)
		}
		n := t.producer[value]
		if n == nil || len(n.Input) == 0 || !standard(n) || !moves[n.OpType] && n.OpType != "Cast" {
			return 0, false
		}
		value = n.Input[0]
	}
	return 0, false
}

// number reads a tensor of one element.
func (m *Model) number(t *pb.TensorProto) (float64, bool) {
	var b bytes.Buffer
	if elements(t.Dims) != 1 || m.writeValues(&b, t) != nil || int64(b.Len()) != elementBits[pb.TensorProto_DataType(t.DataType)]/8 {
		return 0, false
	}
	raw := b.Bytes()
	switch pb.TensorProto_DataType(t.DataType) {
	case pb.TensorProto_FLOAT:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), true
	case pb.TensorProto_FLOAT16:
		return float64(math.Float32frombits(FromHalf(binary.LittleEndian.Uint16(raw)))), true
	case pb.TensorProto_DOUBLE:
		return math.Float64frombits(binary.LittleEndian.Uint64(raw)), true
	case pb.TensorProto_INT64:
		return float64(int64(binary.LittleEndian.Uint64(raw))), true
	case pb.TensorProto_INT32:
		return float64(int32(binary.LittleEndian.Uint32(raw))), true
	}
	return 0, false
}

// integers reads a constant list of int64, or the attribute that held it in earlier
// operator sets. ok is false where the node has neither.
func (t *tracer) integers(n *pb.NodeProto, name string, input int) (list []int64, ok bool) {
	if a := attribute(n, name); a != nil {
		return a.Ints, true
	}
	if input < len(n.Input) && n.Input[input] != "" {
		return int64s(t.tensors[n.Input[input]])
	}
	return nil, false
}

// moves are the operators that move values and do not change them.
var moves = map[string]bool{
	"Identity": true, "Flatten": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true, "Transpose": true, "Dropout": true,
}

// moved tells whether a node passes its first input on unchanged: it moves values,
// or casts them from one type of floating-point numbers to another.
func moved(n *pb.NodeProto) bool {
	if n == nil || len(n.Input) == 0 || !standard(n) {
		return false
	}
	return moves[n.OpType] || n.OpType == "Cast" && floating(pb.TensorProto_DataType(attribute(n, "to").GetI()))
}

// floating tells whether a type is one of floating-point numbers.
func floating(t pb.TensorProto_DataType) bool {
	switch t {
	case pb.TensorProto_FLOAT, pb.TensorProto_FLOAT16, pb.TensorProto_DOUBLE, pb.TensorProto_BFLOAT16:
		return true
	}
	return false
}

// elementType is the type of a value's elements, as nodes tell it that change the
// type, or the graph's input does; float32 where nothing tells it.
func (t *tracer) elementType(value string) pb.TensorProto_DataType {
	for range len(t.producer) + 1 { // a damaged graph may have cycles
		n := t.producer[value]
		if n == nil {
			break
		}
		switch {
		case n.OpType == "Cast":
			return pb.TensorProto_DataType(attribute(n, "to").GetI())
		case n.OpType == "DequantizeLinear":
			return pb.TensorProto_FLOAT
		case operators[n.OpType].output == int64Output && standard(n):
			return pb.TensorProto_INT64
		case operators[n.OpType].output == boolOutput && standard(n):
			return pb.TensorProto_BOOL
		}
		if q, ok := t.quantization(value); ok {
			return q.dtype
		}
		value = ""
		for _, in := range n.Input {
			if in != "" && !t.isConstant(in) {
				value = in
				break
			}
		}
	}
	for _, v := range t.m.Inputs() {
		if v.Name == value {
			return v.DType
		}
	}
	return pb.TensorProto_FLOAT
}

// behind is the value from which nodes that move values made another.
func (t *tracer) behind(value string) string {
	for range len(t.producer) { // a damaged graph may have cycles
		if n := t.producer[value]; moved(n) {
			value = n.Input[0]
		} else {
			break
		}
	}
	return value
}

// unrounded is the value that reaches another through QuantizeLinear and
// DequantizeLinear, and through nodes that move values between the two.
func (t *tracer) unrounded(value string) string {
	n := t.producer[value]
	if n == nil || n.OpType != "DequantizeLinear" || len(n.Input) == 0 {
		return value
	}
	if q := t.producer[n.Input[0]]; q != nil && q.OpType == "QuantizeLinear" && len(q.Input) > 0 {
		return q.Input[0]
	}
	return value
}
