package graph

import (
	"encoding/binary"
	"math"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// constantNode notes the value of a Constant node.
func (r *reader) constantNode(n *pb.NodeProto) {
	name := n.Output[0]
	for _, a := range n.Attribute {
		switch a.Name {
		case "value":
			r.raw[name] = a.T
		case "value_int":
			r.ints[name] = []int{int(a.I)}
		case "value_ints":
			r.ints[name] = r.intList(n, a.Name)
		case "value_float":
			r.raw[name] = &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), FloatData: []float32{a.F}}
		case "value_floats":
			r.raw[name] = &pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), Dims: []int64{int64(len(a.Floats))}, FloatData: a.Floats}
		default:
			r.fail("attribute %q of a Constant, expected a tensor or numbers", a.Name)
		}
	}
}

// known returns the values of an integer constant or of a shape.
func (r *reader) known(name string) ([]int, bool) {
	if v, ok := r.ints[name]; ok {
		return v, true
	}
	t, ok := r.raw[name]
	if !ok {
		return nil, false
	}
	var out []int
	raw := r.bytes(name, t)
	switch pb.TensorProto_DataType(t.DataType) {
	case pb.TensorProto_INT64:
		for _, v := range t.Int64Data {
			out = append(out, int(v))
		}
		for ; len(raw) >= 8; raw = raw[8:] {
			out = append(out, int(int64(binary.LittleEndian.Uint64(raw))))
		}
	case pb.TensorProto_INT32:
		for _, v := range t.Int32Data {
			out = append(out, int(v))
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			out = append(out, int(int32(binary.LittleEndian.Uint32(raw))))
		}
	default:
		return nil, false
	}
	return out, true
}

// floats returns the values of a float32 constant.
func (r *reader) floats(name string) (Shape, []float32) {
	t, ok := r.raw[r.root(name)]
	if !ok {
		r.fail("the value %q is not known", name)
	}
	if t.DataType != int32(pb.TensorProto_FLOAT) {
		r.fail("the constant %q is of type %v, expected float32", name, pb.TensorProto_DataType(t.DataType))
	}
	shape := make(Shape, len(t.Dims))
	for i, d := range t.Dims {
		shape[i] = int(d)
	}
	data := t.FloatData
	for raw := r.bytes(r.root(name), t); len(raw) >= 4; raw = raw[4:] {
		data = append(data, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	if len(data) != shape.Size() {
		r.fail("the constant %q has %d values, expected %v", name, len(data), shape)
	}
	return shape, data
}

// bytes are those of a constant that has no typed values.
func (r *reader) bytes(name string, t *pb.TensorProto) []byte {
	if len(t.RawData) > 0 {
		return t.RawData
	}
	raw, err := r.net.model.Raw(name) // nothing for a Constant node
	if err != nil {
		return nil
	}
	return raw
}
