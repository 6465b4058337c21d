package onnx

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The rules by which operators tell the shape of their outputs, for operator.shape.
// A rule knows nothing, the zero tensor, of an operator whose inputs it knows
// nothing of.

// sameShape is the shape of the first input, but not its values.
func sameShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	return tensor{ranked: x.ranked, dims: x.dims}
}

// sameRank has as many dimensions as the first input.
func sameRank(f inference, n *pb.NodeProto) tensor {
	if x := f.of(n, 0); x.ranked {
		return ofRank(len(x.dims))
	}
	return tensor{}
}

// passed is the first input, as it is.
func passed(f inference, n *pb.NodeProto) tensor { return f.of(n, 0) }

// castShape is the first input, whose values may become fractions or whole again.
func castShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	switch pb.TensorProto_DataType(attribute(n, "to").GetI()) {
	case pb.TensorProto_FLOAT, pb.TensorProto_DOUBLE, pb.TensorProto_FLOAT16:
		x.float = true
	default:
		x.float = false
	}
	return x
}

// flooredShape is the first input, whose values are whole again. Those that are not
// were not known.
func flooredShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	x.float = false
	return x
}

// broadcastShape is what all inputs broadcast to.
func broadcastShape(f inference, n *pb.NodeProto) tensor {
	out := f.of(n, 0)
	for i := range n.Input[min(1, len(n.Input)):] {
		out = broadcastTensors(out, f.of(n, i+1))
	}
	out.values = nil
	return out
}

func broadcastTensors(a, b tensor) tensor {
	if !a.ranked || !b.ranked {
		return tensor{}
	}
	if len(a.dims) < len(b.dims) {
		a, b = b, a
	}
	dims := slices.Clone(a.dims)
	for i, d := range b.dims {
		at := len(dims) - len(b.dims) + i
		dims[at] = dims[at].broadcast(d)
	}
	return tensor{ranked: true, dims: dims}
}

// arithmeticShape is a broadcast of two operands, and the result where both are known.
func arithmeticShape(f inference, n *pb.NodeProto) tensor {
	a, b := f.of(n, 0), f.of(n, 1)
	out := broadcastTensors(a, b)
	if len(a.values) == 0 || len(b.values) == 0 || len(a.values) != len(b.values) && len(a.values) != 1 && len(b.values) != 1 {
		return out
	}
	out.float = a.float || b.float
	out.values = make([]number, max(len(a.values), len(b.values)))
	for i := range out.values {
		x, y := a.values[min(i, len(a.values)-1)], b.values[min(i, len(b.values)-1)]
		switch n.OpType {
		case "Add":
			out.values[i] = x.plus(y, 1)
		case "Sub":
			out.values[i] = x.plus(y, -1)
		case "Mul":
			out.values[i] = x.times(y)
		case "Div":
			out.values[i] = x.over(y, out.float)
		}
	}
	return out
}

// chosenShape is that of Where: a broadcast, of as many values as the larger operand.
func chosenShape(f inference, n *pb.NodeProto) tensor {
	return broadcastTensors(broadcastTensors(f.of(n, 0), f.of(n, 1)), f.of(n, 2))
}

func constantShape(_ inference, n *pb.NodeProto) tensor {
	for _, a := range n.Attribute {
		switch a.Name {
		case "value":
			if a.T != nil {
				return constantTensor(a.T)
			}
		case "value_int":
			return tensor{ranked: true, values: []number{known(a.I)}}
		case "value_ints":
			return constantTensor(NewInts("", a.Ints...))
		case "value_float":
			return shaped()
		case "value_floats":
			return shaped(known(int64(len(a.Floats))))
		}
	}
	return tensor{}
}

// filledShape is that of ConstantOfShape and Expand, which an input lists; an Expand
// broadcasts it with the value that is expanded.
func filledShape(f inference, n *pb.NodeProto) tensor {
	list, ok := f.of(n, len(n.Input)-1).list()
	if !ok {
		return tensor{}
	}
	out := shaped(list...)
	if n.OpType == "Expand" {
		return broadcastTensors(f.of(n, 0), out)
	}
	a := attribute(n, "value")
	if total := product(list).size(); a.GetT() != nil && total >= 0 && total <= maxInferred {
		if one := constantTensor(a.T); len(one.values) == 1 {
			out.values, out.float = slices.Repeat(one.values, int(total)), one.float
		}
	}
	return out
}

// shapeShape is the shape itself: the dimensions from start to before end.
func shapeShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	if !x.ranked {
		return ofRank(1)
	}
	limit := func(name string, at int) int {
		if a := attribute(n, name); a != nil {
			if at = int(a.I); at < 0 {
				at += len(x.dims)
			}
		}
		return min(max(at, 0), len(x.dims))
	}
	start, end := limit("start", 0), limit("end", len(x.dims))
	return vector(slices.Clone(x.dims[start:max(start, end)]))
}

func sizeShape(f inference, n *pb.NodeProto) tensor {
	if x := f.of(n, 0); x.ranked {
		return tensor{ranked: true, values: []number{product(x.dims)}}
	}
	return shaped()
}

// axisOf reads the attribute axis, of a value of some dimensions.
func axisOf(n *pb.NodeProto, value int64, rank int) (int, bool) {
	if a := attribute(n, "axis"); a != nil {
		value = a.I
	}
	if value < 0 {
		value += int64(rank)
	}
	return int(value), value >= 0 && value < int64(rank)
}

// axesOf are the axes that a node names, by an attribute or an input; given is false
// where it names none, and ok where they are not known, but their number is count.
func (f inference) axesOf(n *pb.NodeProto, rank int) (axes []int, count int, given, ok bool) {
	var list []int64
	if a := attribute(n, "axes"); a != nil {
		list = a.Ints
	} else if len(n.Input) > 1 && n.Input[1] != "" {
		x := f.of(n, 1)
		if list, ok = x.ints(); !ok {
			return nil, x.length(), true, false
		}
	} else {
		return nil, 0, false, true
	}
	for _, a := range list {
		if a < 0 {
			a += int64(rank)
		}
		if a < 0 || a >= int64(rank) {
			return nil, len(list), true, false
		}
		axes = append(axes, int(a))
	}
	return axes, len(list), true, true
}

func squeezedShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	if !x.ranked {
		return tensor{}
	}
	axes, count, given, ok := f.axesOf(n, len(x.dims))
	switch {
	case !ok && count >= 0 && count <= len(x.dims):
		return ofRank(len(x.dims) - count)
	case !ok || !given && slices.ContainsFunc(x.dims, func(d number) bool { return d.size() < 0 }):
		return tensor{}
	}
	out := tensor{ranked: true, values: x.values, float: x.float}
	for i, d := range x.dims {
		if !(given && slices.Contains(axes, i) || !given && d.size() == 1) {
			out.dims = append(out.dims, d)
		}
	}
	return out
}

func unsqueezedShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	if !x.ranked {
		return tensor{}
	}
	_, count, _, _ := f.axesOf(n, 0)
	if count < 0 {
		return tensor{}
	}
	rank := len(x.dims) + count
	axes, _, _, ok := f.axesOf(n, rank)
	if !ok {
		return ofRank(rank)
	}
	out, rest := tensor{ranked: true, values: x.values, float: x.float}, x.dims
	for i := range rank {
		if slices.Contains(axes, i) || len(rest) == 0 {
			out.dims = append(out.dims, known(1))
		} else {
			out.dims, rest = append(out.dims, rest[0]), rest[1:]
		}
	}
	return out
}

// reducedShape is that of a reduction; ReduceProd of sizes is their product.
func reducedShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	if !x.ranked {
		return tensor{}
	}
	keep := attribute(n, "keepdims") == nil || attribute(n, "keepdims").I != 0
	axes, count, given, ok := f.axesOf(n, len(x.dims))
	switch {
	case keep && !ok:
		return ofRank(len(x.dims))
	case !ok && count >= 0 && count <= len(x.dims):
		return ofRank(len(x.dims) - count)
	case !ok:
		return tensor{}
	case !given && attribute(n, "noop_with_empty_axes").GetI() != 0:
		return sameShape(f, n)
	}
	out := tensor{ranked: true, float: x.float}
	for i, d := range x.dims {
		reduced := !given || slices.Contains(axes, i)
		if reduced && keep {
			d = known(1)
		}
		if !reduced || keep {
			out.dims = append(out.dims, d)
		}
	}
	if n.OpType == "ReduceProd" && x.values != nil && len(x.dims) == 1 {
		out.values = []number{product(x.values)}
	}
	return out
}
