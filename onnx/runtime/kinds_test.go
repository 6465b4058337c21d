package runtime_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// TestKinds runs what stands in front of a network for every layout, type,
// operator set and normalisation, and compares with the same in float64.
func TestKinds(t *testing.T) {
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	const n, h, w = 2, 5, 7
	src := make([]uint8, n*h*w*3)
	fill(rand.New(rand.NewPCG(9, 9)), src)
	mean, std := []float64{0.1, 0.2, 0.3}, []float64{0.5, 0.25, 2}
	for _, c := range []struct {
		layout   string
		half     bool
		opset    int64
		channels string
		scale    [2]float64
		clamp    []float64
		plain    bool // no mean and std
	}{
		{"nchw", false, 9, "rgb", [2]float64{0, 1}, nil, false},
		{"nchw", false, 11, "bgr", [2]float64{-1, 1}, nil, true},
		{"nchw", false, 13, "rgb", [2]float64{0, 255}, nil, true},
		{"nchw", false, 17, "rgb", [2]float64{0, 1}, []float64{0.2, 0.7}, false},
		{"nchw", false, 9, "rgb", [2]float64{0, 1}, []float64{0.2, 0.7}, false},
		{"nchw", false, 18, "bgr", [2]float64{0, 1}, nil, false},
		{"nchw", true, 17, "rgb", [2]float64{0, 1}, nil, false},
		{"nhwc", false, 13, "bgr", [2]float64{0, 1}, nil, false},
		{"nhwc", false, 20, "rgb", [2]float64{-1, 1}, nil, false},
		{"nhwc", true, 17, "rgb", [2]float64{0, 1}, nil, true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			dtype, tolerance := pb.TensorProto_FLOAT, 1e-5
			if c.half {
				dtype, tolerance = pb.TensorProto_FLOAT16, 2e-3
			}
			shape := []int{3, h, w}
			if c.layout == "nhwc" {
				shape = []int{h, w, 3}
			}
			value := func(name string) *pb.ValueInfoProto {
				return onnx.NewValue(name, dtype, onnx.Named("N"), onnx.Sized(shape[0]), onnx.Sized(shape[1]), onnx.Sized(shape[2]))
			}
			m := onnx.New(&pb.ModelProto{IrVersion: 4, OpsetImport: []*pb.OperatorSetIdProto{{Version: c.opset}}, Graph: &pb.GraphProto{
				Name: "g", Node: []*pb.NodeProto{onnx.NewNode("Identity", "y", []string{"x"})},
				Input: []*pb.ValueInfoProto{value("x")}, Output: []*pb.ValueInfoProto{value("y")},
			}})
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			spec.Range, spec.Channels, spec.Clamp, spec.Mean, spec.Std = c.scale, c.channels, c.clamp, mean, std
			if c.plain {
				spec.Mean, spec.Std = nil, nil
			}
			g, err := m.ForImages(spec, onnx.ImageConfig{Pool: true})
			if err != nil {
				t.Fatal(err)
			}
			s, err := runtime.Open(g, runtime.Options{Library: lib, Device: "cpu"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := make([]float32, n*3)
			if err := s.Run(t.Context(), n, src, got); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				for k := range 3 {
					from := k
					if c.channels == "bgr" {
						from = 2 - k
					}
					sum := 0.0
					for p := range h * w {
						v := float64(src[(i*h*w+p)*3+from])/255*(c.scale[1]-c.scale[0]) + c.scale[0]
						if c.clamp != nil {
							v = min(c.clamp[1], max(c.clamp[0], v))
						}
						if !c.plain {
							v = (v - mean[k]) / std[k]
						}
						sum += v
					}
					want := sum / (h * w)
					if d := math.Abs(float64(got[i*3+k]) - want); d > tolerance*max(1, math.Abs(want)) {
						t.Errorf("image %d, channel %d: %g, want %g", i, k, got[i*3+k], want)
					}
				}
			}
		})
	}
}
