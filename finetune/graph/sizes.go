package graph

import (
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Exporters also compute sizes in floating point: the number of elements, cast to
// float32, divided by the batch size and cast back. What follows from sizes by such
// nodes is a constant, too.

// maxSizes is the most numbers of a constant that follows from sizes.
const maxSizes = 64

// foldFloats evaluates arithmetic on float32 constants of which one follows from
// sizes, or a Cast of one to integers, and reports whether it did.
func (r *reader) foldFloats(n *pb.NodeProto) bool {
	computed := false
	var shapes []Shape
	var values [][]float32
	for _, name := range n.Input {
		t := r.raw[name]
		if t == nil || t.DataType != int32(pb.TensorProto_FLOAT) || dims(t).Size() > maxSizes {
			return false
		}
		computed = computed || r.sizes[name]
	}
	if !computed {
		return false
	}
	for _, name := range n.Input {
		s, v := r.floats(name)
		shapes, values = append(shapes, s), append(values, v)
	}
	shape, out := shapes[0], slices.Clone(values[0])
	switch n.OpType {
	case "Add", "Sub", "Mul", "Div":
		if len(values) != 2 {
			return false
		}
		s, err := broadcast(shapes[0], shapes[1])
		if err != nil {
			r.fail("%w", err)
		}
		f := arithmetic[float32](n.OpType)
		shape, out = s, make([]float32, s.Size())
		walk(s, broadcastStrides(shapes[0], s), func(to, from int) { out[to] = values[0][from] })
		walk(s, broadcastStrides(shapes[1], s), func(to, from int) { out[to] = f(out[to], values[1][from]) })
	case "Floor", "Ceil":
		round := map[string]func(float64) float64{"Floor": math.Floor, "Ceil": math.Ceil}[n.OpType]
		for i, v := range out {
			out[i] = float32(round(float64(v)))
		}
	case "Cast":
		if !integer(int32(r.int(n, "to", 0))) {
			return false
		}
		x := intTensor{shape: shape}
		for _, v := range out {
			if math.IsNaN(float64(v)) || math.Abs(float64(v)) > 1<<53 {
				r.fail("the size %v", v)
			}
			x.v = append(x.v, int(v))
		}
		r.ints[n.Output[0]] = x
		return true
	case "Identity":
	default:
		return false
	}
	r.setFloats(n.Output[0], shape, out)
	return true
}

// setFloats makes a value a float32 constant that follows from sizes.
func (r *reader) setFloats(name string, shape Shape, v []float32) {
	t := &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), FloatData: v}
	for _, d := range shape {
		t.Dims = append(t.Dims, int64(d))
	}
	r.raw[name], r.sizes[name] = t, true
}

// productOfIntegers is ReduceProd, over all axes, of a vector of sizes.
func productOfIntegers(r *reader, n *pb.NodeProto, in []intTensor) intTensor {
	axes := in[1:]
	if len(in[0].shape) > 1 || len(axes) > 1 {
		r.fail("a product of integers of shape %v, expected a vector", in[0].shape)
	}
	out := intTensor{v: []int{1}}
	for _, v := range in[0].v {
		if v != 0 && out.v[0] > math.MaxInt32*math.MaxInt32/max(v, -v) {
			r.fail("the product of %v", in[0].v)
		}
		out.v[0] *= v
	}
	if r.int(n, "keepdims", 1) != 0 && len(in[0].shape) == 1 {
		out.shape = Shape{1}
	}
	return out
}

// equalIntegers is 1 where two integers are equal, else 0.
func equalIntegers(r *reader, _ *pb.NodeProto, in []intTensor) intTensor {
	return r.elementwise(in, func(v []int) int {
		if v[0] == v[1] {
			return 1
		}
		return 0
	}, 2)
}

// chosenIntegers is Where.
func chosenIntegers(r *reader, _ *pb.NodeProto, in []intTensor) intTensor {
	return r.elementwise(in, func(v []int) int {
		if v[0] != 0 {
			return v[1]
		}
		return v[2]
	}, 3)
}

// elementwise calls f for each element of some integer tensors, which are broadcast.
func (r *reader) elementwise(in []intTensor, f func(v []int) int, count int) intTensor {
	if len(in) != count {
		r.fail("%d inputs, expected %d", len(in), count)
	}
	s := in[0].shape
	for _, x := range in[1:] {
		var err error
		if s, err = broadcast(s, x.shape); err != nil {
			r.fail("%w", err)
		}
	}
	rows := make([][]int, s.Size())
	for _, x := range in {
		walk(s, broadcastStrides(x.shape, s), func(to, from int) { rows[to] = append(rows[to], x.v[from]) })
	}
	out := intTensor{shape: s}
	for _, v := range rows {
		out.v = append(out.v, f(v))
	}
	return out
}

// readExpand reads an Expand as a multiplication by ones.
func readExpand(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	if !has(n, 1) {
		r.fail("input 1 is missing")
	}
	to := Shape(r.intInput(n, 1))
	for _, d := range to {
		if d < 1 || d > 1<<24 {
			r.fail("shape %v", to)
		}
	}
	s, err := broadcast(x.Shape(), to)
	if err != nil {
		r.fail("%w", err)
	}
	if s.Equal(x.Shape()) {
		return x
	}
	ones := slices.Repeat([]int{1}, len(s)) // 1 where x has the size already
	for i := range s {
		if at := i - len(s) + len(x.Shape()); at < 0 || x.Shape()[at] != s[i] {
			ones[i] = s[i]
		}
	}
	return r.binary("Mul", x, r.Constant(ones, slices.Repeat([]float32{1}, Shape(ones).Size())...))
}
