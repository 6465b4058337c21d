package graph

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// intTensor is an integer tensor that is known once the batch size is: shapes, and
// what exporters compute from them.
type intTensor struct {
	shape Shape
	v     []int
}

// integerOps computes the nodes whose inputs are all integer tensors.
var integerOps = map[string]func(*reader, *pb.NodeProto, []intTensor) intTensor{
	"Add":        binaryIntegers,
	"Cast":       func(_ *reader, _ *pb.NodeProto, in []intTensor) intTensor { return in[0] },
	"Concat":     concatIntegers,
	"Div":        binaryIntegers,
	"Equal":      equalIntegers,
	"Gather":     gatherIntegers,
	"Identity":   func(_ *reader, _ *pb.NodeProto, in []intTensor) intTensor { return in[0] },
	"Mul":        binaryIntegers,
	"ReduceProd": productOfIntegers,
	"Reshape":    reshapeIntegers,
	"Slice":      sliceIntegers,
	"Squeeze": func(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
		return intTensor{r.squeezed(in[0].shape, r.intsOf(n, 1, "axes")), in[0].v}
	},
	"Sub":       binaryIntegers,
	"Transpose": transposeIntegers,
	"Unsqueeze": func(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
		return intTensor{r.unsqueezed(in[0].shape, r.intsOf(n, 1, "axes")), in[0].v}
	},
	"Where": chosenIntegers,
}

// fold evaluates a node if its output is a constant, or an integer tensor computed
// from known ones, and reports whether it did.
func (r *reader) fold(n *pb.NodeProto) bool {
	if n.OpType == "Constant" {
		r.constantNode(n)
		return true
	}
	if len(n.Input) == 0 {
		return false
	}
	switch n.OpType {
	case "Identity": // of a constant; see promoted
		if len(n.Input) == 1 && r.raw[n.Output[0]] != nil {
			return true
		}
	case "Cast":
		if r.castConstant(n) {
			return true
		}
	case "ConstantOfShape":
		return r.constantOfShape(n)
	case "Shape":
		r.ints[n.Output[0]] = r.shape(n)
		return true
	case "Size":
		r.ints[n.Output[0]] = intTensor{v: []int{Shape(r.shape(n).v).Size()}}
		return true
	}
	if r.foldFloats(n) {
		return true
	}
	compute := integerOps[n.OpType]
	if compute == nil {
		return false
	}
	var in []intTensor
	for i := range n.Input {
		if !has(n, i) {
			if i == 0 || n.OpType != "Slice" {
				return false // other operators have no optional inputs
			}
			in = append(in, intTensor{})
			continue
		}
		v, ok := r.intTensor(n.Input[i])
		if !ok {
			return false
		}
		in = append(in, v)
	}
	r.ints[n.Output[0]] = compute(r, n, in)
	return true
}

// castConstant evaluates a Cast of a constant to float32 and reports whether it did.
// Casts between integer types change nothing.
func (r *reader) castConstant(n *pb.NodeProto) bool {
	if r.int(n, "to", 0) != int(pb.TensorProto_FLOAT) {
		if _, ok := r.intTensor(n.Input[0]); ok && !integer(int32(r.int(n, "to", 0))) {
			r.fail("integers become %v, expected integers or float32", pb.TensorProto_DataType(r.int(n, "to", 0)))
		}
		return false
	}
	if x, ok := r.intTensor(n.Input[0]); ok {
		v := make([]float32, len(x.v))
		for i, n := range x.v {
			v[i] = float32(n)
		}
		r.setFloats(n.Output[0], x.shape, v)
		return true
	}
	t := r.raw[n.Input[0]]
	if t == nil {
		return false
	}
	r.sizes[n.Output[0]] = r.sizes[n.Input[0]]
	s, v := r.floatData(n.Input[0], t)
	dims := make([]int64, len(s))
	for i, d := range s {
		dims[i] = int64(d)
	}
	r.raw[n.Output[0]] = &pb.TensorProto{DataType: t.DataType, Dims: dims, FloatData: v}
	return true
}

// readCast reads a Cast of a computed value, which must be from float32 to float32.
func readCast(r *reader, n *pb.NodeProto) Value {
	if to := pb.TensorProto_DataType(r.int(n, "to", 0)); to != pb.TensorProto_FLOAT {
		r.fail("values become %v, expected float32", to)
	}
	return r.in(n, 0)
}

func integer(dtype int32) bool {
	return dtype == int32(pb.TensorProto_INT64) || dtype == int32(pb.TensorProto_INT32)
}

// shape evaluates a Shape: the dimensions from start to before end (opset 15).
func (r *reader) shape(n *pb.NodeProto) intTensor {
	var s Shape
	if v, ok := r.ints[n.Input[0]]; ok {
		s = v.shape
	} else if v, ok := r.values[n.Input[0]]; ok {
		s = v.Shape()
	} else if t := r.raw[n.Input[0]]; t != nil {
		s = dims(t)
	} else {
		r.fail("the value %q is not known", n.Input[0])
	}
	limit := func(name string, value int) int {
		at := r.int(n, name, value)
		if at < 0 {
			at += len(s)
		}
		return min(max(at, 0), len(s))
	}
	start, end := limit("start", 0), limit("end", len(s))
	return intVector(slices.Clone(s[start:max(start, end)]))
}

func intVector(v []int) intTensor { return intTensor{Shape{len(v)}, v} }

func dims(t *pb.TensorProto) Shape {
	s := make(Shape, len(t.Dims))
	for i, d := range t.Dims {
		s[i] = int(d)
	}
	return s
}

func binaryIntegers(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
	if len(in) != 2 {
		r.fail("%d inputs, expected 2", len(in))
	}
	s, err := broadcast(in[0].shape, in[1].shape)
	if err != nil {
		r.fail("%w", err)
	}
	out, f := intTensor{s, make([]int, s.Size())}, arithmetic[int](n.OpType)
	if n.OpType == "Div" && slices.Contains(in[1].v, 0) {
		r.fail("a division by zero")
	}
	walk(s, broadcastStrides(in[0].shape, s), func(to, from int) { out.v[to] = in[0].v[from] })
	walk(s, broadcastStrides(in[1].shape, s), func(to, from int) { out.v[to] = f(out.v[to], in[1].v[from]) })
	return out
}

func concatIntegers(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
	shapes, values := make([]Shape, len(in)), make([][]int, len(in))
	for i, x := range in {
		shapes[i], values[i] = x.shape, x.v
	}
	o := Concat{r.axis(n, 0, len(in[0].shape))}
	s, err := o.Infer(shapes)
	if err != nil {
		r.fail("%w", err)
	}
	out := intTensor{s, make([]int, s.Size())}
	concat(o.Axis, out.v, values, shapes)
	return out
}

// gatherIntegers takes elements along an axis; a scalar index drops the axis.
func gatherIntegers(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
	if len(in) != 2 {
		r.fail("%d inputs, expected 2", len(in))
	}
	s := in[0].shape
	axis := r.axis(n, 0, len(s))
	inner, d := s[axis+1:].Size(), s[axis]
	out := intTensor{shape: slices.Concat(s[:axis], in[1].shape, s[axis+1:])}
	for outer := range s[:axis].Size() {
		for _, k := range in[1].v {
			if k < 0 {
				k += d
			}
			if k < 0 || k >= d {
				r.fail("index %d of a dimension of %d", k, d)
			}
			out.v = append(out.v, in[0].v[(outer*d+k)*inner:][:inner]...)
		}
	}
	return out
}

func reshapeIntegers(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
	to := r.intList(n, "shape")
	if len(in) > 1 {
		to = in[1].v
	}
	return intTensor{r.reshapedTo(in[0].shape, to, r.int(n, "allowzero", 0) != 0), in[0].v}
}

func sliceIntegers(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
	o := r.slice(n, in[0].shape)
	out := intTensor{o.Sizes, make([]int, Shape(o.Sizes).Size())}
	slice(o, out.v, in[0].v, in[0].shape)
	return out
}

func transposeIntegers(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
	o := Transpose{r.perm(n, len(in[0].shape))}
	s, err := o.Infer([]Shape{in[0].shape})
	if err != nil {
		r.fail("%w", err)
	}
	step, strides := make([]int, len(s)), in[0].shape.strides()
	for i, p := range o.Perm {
		step[i] = strides[p]
	}
	out := intTensor{s, make([]int, s.Size())}
	walk(s, step, func(to, from int) { out.v[to] = in[0].v[from] })
	return out
}

// constantOfShape evaluates a ConstantOfShape if the shape is known. The default is
// a float32 zero.
func (r *reader) constantOfShape(n *pb.NodeProto) bool {
	to, ok := r.knownInts(n.Input[0])
	if !ok {
		return false
	}
	s, size := Shape(to), 1
	for _, d := range s {
		if d < 0 || d > 0 && size > 1<<24/d {
			r.fail("a constant of shape %v, expected at most %d elements", s, 1<<24)
		}
		size *= d
	}
	a := attribute(n, "value")
	if a == nil || a.T == nil || !integer(a.T.DataType) {
		value := float32(0)
		if a != nil && a.T != nil {
			if _, v := r.floatData(n.Output[0], a.T); len(v) == 1 {
				value = v[0]
			}
		}
		t := &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), FloatData: slices.Repeat([]float32{value}, s.Size())}
		for _, d := range s {
			t.Dims = append(t.Dims, int64(d))
		}
		r.raw[n.Output[0]] = t
		return true
	}
	v := r.intData(n.Output[0], a.T)
	if len(v) != 1 {
		r.fail("a value of %d numbers, expected one", len(v))
	}
	r.ints[n.Output[0]] = intTensor{s, slices.Repeat(v, s.Size())}
	return true
}
