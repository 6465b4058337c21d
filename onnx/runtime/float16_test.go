package runtime_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

func library(t testing.TB) runtime.Library {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	return lib
}

// smooth draws images of a few waves each, as photographs have little in
// neighbouring pixels that differs.
func smooth(n, h, w int) []uint8 {
	r := rand.New(rand.NewPCG(5, 7))
	src := make([]uint8, 0, n*h*w*3)
	for range n {
		var wave [12]float64
		for i := range wave {
			wave[i] = r.Float64() * 12
		}
		for y := range h {
			for x := range w {
				for c := range 3 {
					k := wave[4*c : 4*c+4]
					u, v := float64(x)/float64(w), float64(y)/float64(h)
					src = append(src, uint8(127.5*(1+math.Sin(k[0]*u+k[1]*v+k[2])*math.Cos(k[3]*v))))
				}
			}
		}
	}
	return src
}

// run computes the outputs of a model's images in a precision.
func run(t *testing.T, m *onnx.Model, precision string, n int, src []uint8) []float32 {
	t.Helper()
	s, err := runtime.Open(m, runtime.Options{Library: library(t), Device: "cpu", Precision: precision})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dims, err := s.Dims(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	size := 1
	for _, d := range dims[0] {
		size *= d
	}
	out := make([]float32, size)
	if err := s.Run(t.Context(), n, src, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// difference is max|a-b| / max|b|.
func difference(a, b []float32) float64 {
	d, top := 0.0, 0.0
	for i := range a {
		d, top = max(d, math.Abs(float64(a[i]-b[i]))), max(top, math.Abs(float64(b[i])))
	}
	return d / top
}

// TestFloat16Networks wants features in float16 to be those in float32, but
// for rounding. MobileNet's move by 4.5e-3 from the rounding of its weights
// alone, computed in float32.
func TestFloat16Networks(t *testing.T) {
	made := func(name string) func() (*onnx.Model, error) {
		return func() (*onnx.Model, error) { return arch.Synthetic(name, 10) }
	}
	file := func(name string) func() (*onnx.Model, error) {
		return func() (*onnx.Model, error) { return onnx.Load(name) }
	}
	backbones := filepath.Join("..", "..", "assets", "backbones")
	for name, c := range map[string]struct {
		model func() (*onnx.Model, error)
		large bool
	}{
		"resnet8_std":        {file(filepath.Join(backbones, "resnet8_std.onnx")), false},
		"resnet8_l2_eps0.25": {file(filepath.Join(backbones, "resnet8_l2_eps0.25.onnx")), false},
		"resnet8_noiseaug":   {file(filepath.Join(backbones, "resnet8_noiseaug.onnx")), false},
		"resnet20":           {file(shared("nets/resnet20_op13_bn.onnx")), false},
		"resnet20_folded":    {file(shared("nets/resnet20_op13_folded.onnx")), false},
		"resnet18":           {made("resnet18"), false},
		"resnet50":           {made("resnet50"), true},
		"mobilenet_v2":       {made("mobilenet_v2"), false},
		"shufflenet":         {made("shufflenet_v2_x1_0"), false},
		"mnasnet":            {made("mnasnet1_0"), false},
		"cifar_resnet20":     {made("cifar_resnet20"), false},
		"resnet2b":           {made("resnet2b"), false},
		"densenet161":        {made("densenet161"), true},
		"vgg16_bn":           {made("vgg16_bn"), true},
		"mobilenet":          {file(shared("nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx")), true},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && c.large {
				t.Skip("a large network")
			}
			m, err := c.model()
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("RTX_SHARED_DATA names the folder of test data")
			}
			if err != nil {
				t.Fatal(err)
			}
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			g, err := m.ForImages(spec, onnx.ImageConfig{Pool: true})
			if err != nil {
				t.Fatal(err)
			}
			const n = 4
			src := smooth(n, spec.InputSize[0], spec.InputSize[1])
			d := difference(run(t, g, "fp16", n, src), run(t, g, "fp32", n, src))
			t.Logf("%.1e", d)
			limit := 1e-3
			if name == "mobilenet" {
				limit = 4.5e-3
			}
			if d > limit || d == 0 {
				t.Errorf("features differ by %.1e", d)
			}
		})
	}
}

// TestFloat16Graphs runs networks of what is between convolutions, in every
// operator set.
func TestFloat16Graphs(t *testing.T) {
	weights := func() []*pb.TensorProto {
		r := rand.New(rand.NewPCG(3, 3))
		draw := func(name string, scale float64, dims ...int64) *pb.TensorProto {
			n := int64(1)
			for _, d := range dims {
				n *= d
			}
			v := make([]float64, n)
			for i := range v {
				v[i] = scale * (r.Float64() - 0.3)
			}
			return onnx.NewFloats(name, dims, v...)
		}
		return []*pb.TensorProto{
			draw("w", 1, 8, 3, 3, 3), draw("u", 0.5, 8, 8, 3, 3), draw("huge", 2e5, 8, 8, 1, 1), draw("tiny", 1e-6, 8, 8, 1, 1), draw("up", 0.3, 8, 4, 2, 2),
			draw("slope", 0.5, 8, 1, 1), draw("m", 0.5, 8, 8), onnx.NewFloats("six", nil, 6), onnx.NewFloats("zero", nil, 0), onnx.NewFloats("top", nil, math.MaxFloat32),
			onnx.NewFloats("scales", []int64{4}, 1, 1, 2, 2), onnx.NewInts("shape", 0, 8, -1), onnx.NewInts("perm", 0, 2), onnx.NewFloats("eps", nil, 1e-6),
			onnx.NewFloats("one", []int64{8}, 0.5, 1, 1, 2, 1, 1, 1, 3), draw("bias", 0.1, 8),
			{Name: "yes", DataType: int32(pb.TensorProto_BOOL), Int32Data: []int32{1}},
		}
	}
	node := func(op, out string, in []string, a ...*pb.AttributeProto) *pb.NodeProto {
		return onnx.NewNode(op, out, in, a...)
	}
	in := func(s ...string) []string { return s }
	conv := func(out, x, w string) *pb.NodeProto { return node("Conv", out, in(x, w)) }
	inner := func(name, reads string) *pb.AttributeProto {
		return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_GRAPH, G: &pb.GraphProto{Name: name, Node: []*pb.NodeProto{node("Neg", name+"/y", in(reads))},
			Output: []*pb.ValueInfoProto{onnx.NewValue(name+"/y", pb.TensorProto_FLOAT)}}}
	}
	for name, c := range map[string]struct {
		from, to int64 // operator sets
		nodes    []*pb.NodeProto
	}{
		"activations": {9, 24, []*pb.NodeProto{conv("a", "x", "w"), node("PRelu", "b", in("a", "slope")), node("LeakyRelu", "c", in("b")), node("Sigmoid", "d", in("c")),
			node("Mul", "e", in("c", "d")), node("Tanh", "f", in("e")), node("Elu", "g", in("f")), node("Softplus", "h", in("g")), node("HardSigmoid", "i", in("h")), node("Erf", "j", in("i")), conv("y", "j", "u")}},
		"bounds": {12, 24, []*pb.NodeProto{conv("a", "x", "w"), node("Clip", "b", in("a", "zero", "six")), node("Clip", "c", in("b", "", "top")), node("Max", "d", in("c", "zero")), conv("y", "d", "u")}},
		"moved": {9, 12, []*pb.NodeProto{conv("a", "x", "w"), node("MaxPool", "b", in("a"), onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2)),
			node("Split", "c1", in("b"), onnx.Int("axis", 1)), node("Upsample", "y", in("b", "scales"))}},
		"sizes": {13, 24, []*pb.NodeProto{conv("a", "x", "w"), node("Resize", "b", in("a", "", "scales")), node("AveragePool", "c", in("b"), onnx.Ints("kernel_shape", 2, 2)), node("Transpose", "d", in("c"), onnx.Ints("perm", 0, 2, 3, 1)),
			node("MatMul", "e", in("d", "m")), node("Transpose", "f", in("e"), onnx.Ints("perm", 0, 3, 1, 2)), node("Gather", "g", in("f", "perm"), onnx.Int("axis", 2)), node("Concat", "y", in("g", "g"), onnx.Int("axis", 1))}},
		"a gate": {9, 24, []*pb.NodeProto{conv("a", "x", "w"), node("GlobalAveragePool", "b", in("a")), node("ConvTranspose", "c", in("b", "up"), onnx.Int("group", 2)), node("GlobalMaxPool", "d", in("c")), node("Sigmoid", "e", in("d")), node("Mul", "y", in("a", "e"))}},
		"a norm by hand": {9, 17, []*pb.NodeProto{conv("a", "x", "w"), node("ReduceMean", "b", in("a"), onnx.Ints("axes", 1)), node("Sub", "c", in("a", "b")), node("Mul", "d", in("c", "c")),
			node("ReduceMean", "e", in("d"), onnx.Ints("axes", 1)), node("Add", "f", in("e", "eps")), node("Sqrt", "g", in("f")), node("Div", "h", in("c", "g")), conv("y", "h", "u")}},
		"beyond float16": {9, 24, []*pb.NodeProto{conv("a", "x", "w"), conv("b", "a", "huge"), conv("c", "b", "tiny"), conv("y", "c", "u")}},
		"batch norms": {9, 24, []*pb.NodeProto{conv("a", "x", "w"), node("BatchNormalization", "b", in("a", "one", "bias", "bias", "one")), node("Relu", "c", in("b")),
			node("BatchNormalization", "d", in("c", "one", "bias", "bias", "one"), onnx.Float("epsilon", 0.1)), node("Conv", "e", in("d", "u", "bias")), node("BatchNormalization", "y", in("e", "bias", "one", "bias", "one"), onnx.Float("epsilon", 0.1))}},
		"a subgraph": {9, 24, []*pb.NodeProto{conv("a", "x", "w"), node("If", "b", in("yes"), inner("then_branch", "a"), inner("else_branch", "a")), node("Add", "c", in("a", "b")), conv("d", "b", "u"), node("Identity", "y", in("d"))}},
	} {
		for _, opset := range []int64{9, 10, 11, 12, 13, 14, 16, 17, 18, 20, 22, 24} {
			if opset < c.from || opset > c.to {
				continue
			}
			t.Run(fmt.Sprint(name, " ", opset), func(t *testing.T) {
				nodes := c.nodes
				if name == "moved" && opset > 9 {
					t.Skip("Upsample is gone")
				}
				if name == "moved" {
					nodes[2] = &pb.NodeProto{OpType: "Split", Input: []string{"b"}, Output: []string{"c1", "c2"}, Attribute: []*pb.AttributeProto{onnx.Int("axis", 1)}}
					nodes[3] = node("Concat", "d", in("c2", "c1"), onnx.Int("axis", 1))
					nodes = append(nodes, node("Upsample", "y", in("d", "scales")))
				}
				m := onnx.New(&pb.ModelProto{IrVersion: 7, OpsetImport: []*pb.OperatorSetIdProto{{Version: opset}}, Graph: &pb.GraphProto{
					Name: "g", Node: nodes, Initializer: weights(),
					Input:  []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(12), onnx.Sized(12))},
					Output: []*pb.ValueInfoProto{onnx.NewValue("y", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Named("C"), onnx.Named("H"), onnx.Named("W"))},
				}})
				spec, _, err := m.Spec()
				if err != nil {
					t.Fatal(err)
				}
				g, err := m.ForImages(spec, onnx.ImageConfig{Outputs: []string{"y"}})
				if err != nil {
					t.Fatal(err)
				}
				src := smooth(2, 12, 12)
				if d := difference(run(t, g, "fp16", 2, src), run(t, g, "", 2, src)); d > 3e-3 || !(d >= 0) {
					t.Errorf("outputs differ by %.1e", d)
				}
			})
		}
	}
}

func TestPrecisionRefused(t *testing.T) {
	lib := library(t)
	m, err := onnx.Load(backbone())
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.ForImages(spec, onnx.ImageConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runtime.Open(g, runtime.Options{Library: lib, Device: "cpu", Precision: "bf16"}); !errors.Is(err, runtime.ErrUnavailable) {
		t.Error(err)
	}
}
