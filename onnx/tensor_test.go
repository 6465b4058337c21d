package onnx_test

import (
	"bytes"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestTensors reads values from every field that a file may have them in.
func TestTensors(t *testing.T) {
	dims := []int64{2}
	for name, c := range map[string]struct {
		tensor *pb.TensorProto
		want   []byte
	}{
		"raw":    {&pb.TensorProto{DataType: int32(pb.TensorProto_INT16), RawData: []byte{1, 0, 2, 0}}, []byte{1, 0, 2, 0}},
		"float":  {&pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT), FloatData: []float32{1, -2}}, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}},
		"half":   {&pb.TensorProto{DataType: int32(pb.TensorProto_FLOAT16), Int32Data: []int32{0x3c00, 0xc000}}, []byte{0, 0x3c, 0, 0xc0}},
		"int8":   {&pb.TensorProto{DataType: int32(pb.TensorProto_INT8), Int32Data: []int32{-1, 5}}, []byte{0xff, 5}},
		"int64":  {&pb.TensorProto{DataType: int32(pb.TensorProto_INT64), Int64Data: []int64{1, -1}}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}},
		"uint32": {&pb.TensorProto{DataType: int32(pb.TensorProto_UINT32), Uint64Data: []uint64{7, 1 << 31}}, []byte{7, 0, 0, 0, 0, 0, 0, 0x80}},
	} {
		c.tensor.Name, c.tensor.Dims = name, dims
		m := onnx.New(&pb.ModelProto{Graph: &pb.GraphProto{Initializer: []*pb.TensorProto{c.tensor}}})
		x := m.Tensors()[0]
		got, err := x.Bytes()
		if err != nil || !bytes.Equal(got, c.want) || x.Size() != int64(len(got)) || x.Elements() != 2 {
			t.Errorf("%s: % x (%d bytes, %d elements), %v, want % x", name, got, x.Size(), x.Elements(), err, c.want)
		}
	}
}
