package checkpoint_test

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// typed is a tensor of another type than float32.
func typed(name string, dtype pb.TensorProto_DataType, dims []int64, v ...float64) onnx.Tensor {
	var b []byte
	for _, x := range v {
		switch f := math.Float32bits(float32(x)); dtype {
		case pb.TensorProto_DOUBLE:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		case pb.TensorProto_FLOAT16:
			b = binary.LittleEndian.AppendUint16(b, onnx.Half(f))
		case pb.TensorProto_BFLOAT16:
			b = binary.LittleEndian.AppendUint16(b, uint16(f>>16))
		default:
			b = binary.LittleEndian.AppendUint32(b, f)
		}
	}
	return onnx.Tensor{Name: name, DType: dtype, Dims: dims, Write: func(w io.Writer) error { _, err := w.Write(b); return err }}
}

// TestDefect finds values that no sound network has, in every type, and no
// others, once the model is written.
func TestDefect(t *testing.T) {
	net := weights(t, "cifar_resnet20", 10, "")
	last := net[len(net)-1].Name // the bias of the head
	const variance = "bn1.running_var"
	sizes := map[string]int64{last: 10, variance: 16}
	nan, inf := math.NaN(), math.Inf(-1)
	for _, dtype := range []pb.TensorProto_DataType{pb.TensorProto_FLOAT, pb.TensorProto_DOUBLE, pb.TensorProto_FLOAT16, pb.TensorProto_BFLOAT16} {
		for _, c := range []struct {
			name  string
			value float64
			want  string // "": none
			types []pb.TensorProto_DataType
		}{
			{last, nan, `tensor "` + last + `" has a NaN`, nil},
			{last, inf, `tensor "` + last + `" has an infinite value`, nil},
			{last, -1, "", nil},
			{variance, -2, `tensor "bn1.running_var" has the variance -2`, nil},
			{variance, 0, "", nil},
			{last, 65504, "", nil},
			{last, 1e30, "", []pb.TensorProto_DataType{pb.TensorProto_FLOAT, pb.TensorProto_DOUBLE, pb.TensorProto_BFLOAT16}},
			{last, 1e300, `tensor "` + last + `" has the value 1e+300, which is infinite in float32`, []pb.TensorProto_DataType{pb.TensorProto_DOUBLE}},
		} {
			if c.types != nil && !slices.Contains(c.types, dtype) {
				continue
			}
			all := slices.Clone(net)
			at := slices.IndexFunc(all, func(x onnx.Tensor) bool { return x.Name == c.name })
			v := make([]float64, sizes[c.name])
			v[len(v)-2] = c.value
			all[at] = typed(c.name, dtype, all[at].Dims, v...)
			im := imported(t, flat(t, all), checkpoint.Config{})
			if d, ok := im.Defect(); ok {
				t.Errorf("%v %s %g: %v, before anything was written", dtype, c.name, c.value, d)
			}
			if err := im.Model.Write(io.Discard); err != nil {
				t.Fatal(err)
			}
			d, ok := im.Defect()
			if ok != (c.want != "") || ok && (d.String() != c.want || d.Tensor != c.name || d.Variance != (c.name == variance)) {
				t.Errorf("%v %s %g: %v %v, want %q", dtype, c.name, c.value, ok, d, c.want)
			}
		}
	}
}
