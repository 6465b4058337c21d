package graph

import (
	"encoding/binary"
	"math"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// constantNode stores the value of a Constant node.
func (r *reader) constantNode(n *pb.NodeProto) {
	name := n.Output[0]
	for _, a := range n.Attribute {
		switch a.Name {
		case "value":
			if a.T == nil {
				r.fail("a Constant without a value")
			}
			r.raw[name] = a.T
		case "value_int":
			r.ints[name] = intTensor{nil, []int{int(a.I)}}
		case "value_ints":
			r.ints[name] = intVector(r.intList(n, a.Name))
		case "value_float":
			r.raw[name] = &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), FloatData: []float32{a.F}}
		case "value_floats":
			r.raw[name] = &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), Dims: []int64{int64(len(a.Floats))}, FloatData: a.Floats}
		default:
			r.fail("attribute %q of a Constant, expected a tensor or numbers", a.Name)
		}
	}
}

// knownInts returns the values of an integer tensor that is a constant or can be
// computed from shapes.
func (r *reader) knownInts(name string) ([]int, bool) {
	x, ok := r.intTensor(name)
	return x.v, ok
}

func (r *reader) intTensor(name string) (intTensor, bool) {
	if v, ok := r.ints[name]; ok {
		return v, true
	}
	t, ok := r.raw[name]
	if !ok || !integer(t.DataType) {
		return intTensor{}, false
	}
	x := intTensor{dims(t), r.intData(name, t)}
	if len(x.v) != x.shape.Size() {
		r.fail("the constant %q has %d values, expected %v", name, len(x.v), x.shape)
	}
	r.ints[name] = x
	return x, true
}

// intData returns the values of a tensor of int32 or int64.
func (r *reader) intData(name string, t *pb.TensorProto) (out []int) {
	raw := r.rawData(name, t)
	if t.DataType == int32(pb.TensorProto_INT64) {
		for _, v := range t.Int64Data {
			out = append(out, int(v))
		}
		for ; len(raw) >= 8; raw = raw[8:] {
			out = append(out, int(int64(binary.LittleEndian.Uint64(raw))))
		}
		return out
	}
	for _, v := range t.Int32Data {
		out = append(out, int(v))
	}
	for ; len(raw) >= 4; raw = raw[4:] {
		out = append(out, int(int32(binary.LittleEndian.Uint32(raw))))
	}
	return out
}

// floats returns the values of a float32 constant.
func (r *reader) floats(name string) (Shape, []float32) {
	t, ok := r.raw[name]
	if !ok {
		r.fail("the value %q is not known", name)
	}
	return r.floatData(name, t)
}

// floatData returns the values of a tensor of float32.
func (r *reader) floatData(name string, t *pb.TensorProto) (Shape, []float32) {
	if t.DataType != int32(pb.TensorProto_FLOAT) {
		r.fail("the constant %q is of type %v, expected float32", name, pb.TensorProto_DataType(t.DataType))
	}
	shape, data := dims(t), t.FloatData
	for raw := r.rawData(name, t); len(raw) >= 4; raw = raw[4:] {
		data = append(data, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	if len(data) != shape.Size() {
		r.fail("the constant %q has %d values, expected %v", name, len(data), shape)
	}
	return shape, data
}

// rawData returns the bytes of a constant that has no typed values.
func (r *reader) rawData(name string, t *pb.TensorProto) []byte {
	if len(t.RawData) > 0 {
		return t.RawData
	}
	raw, err := r.net.model.Raw(name) // nothing for a Constant node
	if err != nil {
		return nil
	}
	return raw
}
