package onnx

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// number is a size, or another integer that a graph computes from sizes: v, times
// the batch size to a power. Graphs multiply and divide by the batch size, which is
// open, to flatten what follows it.
type number struct {
	v     int64
	power int
	known bool
}

func known(v int64) number { return number{v: v, known: true} }

// size is the number where it does not depend on the batch, else -1.
func (a number) size() int64 {
	if !a.known || a.power != 0 {
		return -1
	}
	return a.v
}

func (a number) times(b number) number {
	if a.size() == 0 || b.size() == 0 {
		return known(0)
	}
	if !a.known || !b.known || a.v != 0 && (a.v*b.v)/a.v != b.v {
		return number{}
	}
	return number{a.v * b.v, a.power + b.power, true}
}

// over divides; with exact set, a remainder leaves nothing known.
func (a number) over(b number, exact bool) number {
	if !a.known || !b.known || b.v == 0 || a.power < b.power {
		return number{}
	}
	if a.v%b.v != 0 && (exact || a.power > 0 || b.power > 0) {
		return number{}
	}
	return number{a.v / b.v, a.power - b.power, true}
}

// plus adds b, times sign.
func (a number) plus(b number, sign int64) number {
	switch {
	case !a.known || !b.known || a.v != 0 && b.v != 0 && a.power != b.power:
		return number{}
	case a.v == 0:
		return number{sign * b.v, b.power, true}
	}
	return number{a.v + sign*b.v, a.power, true}
}

// broadcast is the size that two sizes broadcast to.
func (a number) broadcast(b number) number {
	switch {
	case a.size() == 1:
		return b
	case b.size() == 1 || a == b:
		return a
	case a.size() > 1:
		return a
	case b.size() > 1:
		return b
	}
	return number{}
}

func product(list []number) number {
	p := known(1)
	for _, n := range list {
		p = p.times(n)
	}
	return p
}

// tensor is what is known of a value before the graph runs.
type tensor struct {
	ranked bool
	dims   []number // where ranked
	values []number // of a small tensor of integers, row-major; nil: not known
	float  bool     // the values were converted to floating point, so that divisions leave fractions
}

func shaped(dims ...number) tensor { return tensor{ranked: true, dims: dims} }

func ofRank(n int) tensor { return shaped(make([]number, n)...) }

func vector(values []number) tensor {
	return tensor{ranked: true, dims: []number{known(int64(len(values)))}, values: values}
}

// length is the number of elements of a vector, -1 where it is not known.
func (t tensor) length() int {
	if t.values != nil {
		return len(t.values)
	}
	if !t.ranked || len(t.dims) != 1 {
		return -1
	}
	if n := t.dims[0].size(); n <= maxInferred {
		return int(n)
	}
	return -1
}

// list is the values of a vector, each of which may be unknown; ok is false where not
// even their number is known.
func (t tensor) list() (values []number, ok bool) {
	n := t.length()
	if n < 0 {
		return nil, false
	}
	if t.values != nil {
		return t.values, true
	}
	return make([]number, n), true
}

// ints is the values, if all are known and none depends on the batch.
func (t tensor) ints() ([]int64, bool) {
	var out []int64
	for _, v := range t.values {
		if !v.known || v.power != 0 {
			return nil, false
		}
		out = append(out, v.v)
	}
	return out, t.values != nil
}

// maxInferred is the most values of a tensor that are followed: shapes have few.
const maxInferred = 64

// inference is what is known of the values of a graph.
type inference map[string]tensor

// of is an input of a node.
func (f inference) of(n *pb.NodeProto, input int) tensor {
	if input >= 0 && input < len(n.Input) {
		return f[n.Input[input]]
	}
	return tensor{}
}

// infer tells the shapes of a graph's values, and what it computes of shapes, from
// what the file declares and from the operators.
func (m *Model) infer() inference {
	g := m.Proto.Graph
	f := inference{}
	for _, t := range g.Initializer {
		f[t.Name] = constantTensor(t)
	}
	declared := map[string]tensor{}
	for _, list := range [][]*pb.ValueInfoProto{g.Input, g.ValueInfo, g.Output} {
		for _, p := range list {
			if v := valueOf(p); v.Known {
				declared[v.Name] = declaredTensor(v)
			}
		}
	}
	for _, in := range m.Inputs() {
		if t := declared[in.Name]; len(t.dims) > 1 && !t.dims[0].known {
			t.dims[0] = number{1, 1, true} // the batch
		}
	}
	for name, t := range declared {
		if _, initializer := f[name]; !initializer {
			f[name] = t
		}
	}
	for _, n := range g.Node {
		rule := operators[n.OpType].shape
		if rule == nil || !standard(n) {
			continue
		}
		t := rule(f, n)
		for _, o := range n.Output {
			f[o] = declared[o].with(t)
		}
	}
	return f
}

// with adds to what is declared of a value what was inferred.
func (t tensor) with(inferred tensor) tensor {
	if !t.ranked || inferred.ranked && len(inferred.dims) == len(t.dims) {
		inferred.dims = slices.Clone(inferred.dims)
		for i, d := range t.dims {
			if d.known {
				inferred.dims[i] = d
			}
		}
		return inferred
	}
	return t
}

func declaredTensor(v Value) tensor {
	t := ofRank(len(v.Shape))
	for i, d := range v.Shape {
		if d.Size > 0 {
			t.dims[i] = known(d.Size)
		}
	}
	return t
}

// constantTensor is an initializer, or the value of a Constant node.
func constantTensor(t *pb.TensorProto) tensor {
	out := ofRank(len(t.Dims))
	for i, d := range t.Dims {
		out.dims[i] = known(d)
	}
	if n := elements(t.Dims); n < 0 || n > maxInferred {
		return out
	}
	list, ok := smallNumbers(t)
	if !ok {
		return out
	}
	out.float = t.DataType == int32(pb.TensorProto_FLOAT)
	out.values = make([]number, len(list))
	for i, v := range list {
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			out.values[i] = known(int64(v))
		}
	}
	return out
}

// smallNumbers are the values of a small tensor of int64, int32 or float32.
func smallNumbers(t *pb.TensorProto) (out []float64, ok bool) {
	raw := t.RawData
	switch pb.TensorProto_DataType(t.DataType) {
	case pb.TensorProto_INT64:
		list, ok := int64s(t)
		for _, v := range list {
			out = append(out, float64(max(min(v, 1<<52), -1<<52))) // ends of slices are as large as they can be
		}
		return out, ok
	case pb.TensorProto_INT32:
		for _, v := range t.Int32Data {
			out = append(out, float64(v))
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			out = append(out, float64(int32(binary.LittleEndian.Uint32(raw))))
		}
	case pb.TensorProto_FLOAT:
		for _, v := range t.FloatData {
			out = append(out, float64(v))
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
	default:
		return nil, false
	}
	return out, int64(len(out)) == elements(t.Dims)
}
