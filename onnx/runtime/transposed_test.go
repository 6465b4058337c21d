package runtime_test

import (
	"context"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// TestTransposedCodes multiplies by a transposed matrix of 8-bit numbers, with and
// without a zero point, and wants the product.
func TestTransposedCodes(t *testing.T) {
	library, err := runtime.Find("")
	if err != nil {
		t.Skip(err)
	}
	codes := []byte{24, 83, 179, 47, 182, 184, 68, 177, 173, 250, 241, 47} // int8 [4,3]
	pixels := []uint8{200, 31, 7}
	for _, zero := range []bool{false, true} {
		inputs := []string{"w", "scale"}
		initializers := []*pb.TensorProto{
			{Name: "w", DataType: int32(pb.TensorProto_INT8), Dims: []int64{4, 3}, RawData: codes}, onnx.NewFloats("scale", nil, 0.01),
		}
		if zero {
			inputs = append(inputs, "zero")
			initializers = append(initializers, &pb.TensorProto{Name: "zero", DataType: int32(pb.TensorProto_INT8), RawData: []byte{0}})
		}
		m := onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 13}}, Graph: &pb.GraphProto{
			Name: "g", Input: []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_UINT8, onnx.Named("N"), onnx.Sized(1), onnx.Sized(1), onnx.Sized(3))},
			Initializer: initializers,
			Node: []*pb.NodeProto{
				onnx.NewNode("Cast", "c", []string{"x"}, onnx.Int("to", int64(pb.TensorProto_FLOAT))), onnx.NewNode("Flatten", "f", []string{"c"}),
				onnx.NewNode("DequantizeLinear", "d", inputs), onnx.NewNode("Transpose", "t", []string{"d"}), onnx.NewNode("MatMul", "y", []string{"f", "t"}),
			},
			Output: []*pb.ValueInfoProto{onnx.NewValue("y", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(4))},
		}})
		s, err := runtime.Open(m, runtime.Options{Library: library, Device: "cpu"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got := make([]float32, 4)
		if err := s.Run(context.Background(), 1, pixels, got); err != nil {
			t.Fatal(err)
		}
		for k := range got {
			want := 0.0
			for i, p := range pixels {
				want += float64(p) * float64(int8(codes[3*k+i])) * 0.01
			}
			if math.Abs(float64(got[k])-want) > 1e-3 {
				t.Errorf("zero point %v: %d is %g, want %g", zero, k, got[k], want)
			}
		}
	}
}
