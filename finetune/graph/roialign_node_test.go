package graph

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestRoIAlignNodes runs the cases of RoiAlign, which models are not read with, but
// objectives apply.
func TestRoIAlignNodes(t *testing.T) {
	ran := 0
	for name, files := range nodeCases(t) {
		m := &pb.ModelProto{}
		if err := proto.Unmarshal(files["model.onnx"], m); err != nil {
			t.Fatal(err)
		}
		n := m.Graph.Node[0]
		if n.OpType != "RoiAlign" {
			continue
		}
		var in []*pb.TensorProto
		for _, file := range []string{"input_0.pb", "input_1.pb", "input_2.pb", "output_0.pb"} {
			x, err := tensorFile(files[file])
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, x)
		}
		r := newReader(&Network{model: onnx.New(m)}, newBuilder(0), Config{Batch: 1})
		o := RoIAlign{Strides: []int{int(1 / r.float(n, "spatial_scale", 1))}, Size: r.int(n, "output_height", 1), Sampling: r.int(n, "sampling_ratio", 0),
			Aligned: string(attribute(n, "coordinate_transformation_mode").S) == "half_pixel"}
		c := Call[float64]{}
		for _, x := range in[:2] {
			shape, data := r.floatData("", x)
			c.Shapes, c.In = append(c.Shapes, shape), append(c.In, widened(data))
		}
		var images []float64
		for _, i := range r.intData("", in[2]) {
			images = append(images, float64(i))
		}
		c.In = append(c.In, images, []float64{0, float64(len(images))})
		c.Shapes = append(c.Shapes, Shape{len(images)}, Shape{2})
		shape, want := r.floatData("", in[3])
		var err error
		if c.Shape, err = o.Infer(c.Shapes); err != nil || !c.Shape.Equal(shape) {
			t.Fatalf("%s: %v, shape %v, expected %v", name, err, c.Shape, shape)
		}
		c.Dst = make([]float64, len(want))
		o.Run64(c)
		for i, x := range c.Dst {
			if w := float64(want[i]); math.Abs(x-w) > 6e-5 { // written with 4 decimals
				t.Errorf("%s: element %d is %v, expected %v", name, i, x, w)
			}
		}
		ran++
	}
	if ran != 1 {
		t.Errorf("%d cases, expected 1", ran)
	}
}

func widened(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
