package graphtest

import (
	"math/rand/v2"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// upsamplings are cases of operators that make images larger.
func upsamplings(rng *rand.Rand) map[string]network {
	nearest := []*pb.AttributeProto{text("mode", "nearest"), text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")}
	scales := func(by ...float64) *pb.TensorProto { return onnx.NewFloats("scales", []int64{int64(len(by))}, by...) }
	// The logits are squared, so that their gradient is not that of any other order.
	squared := func(n network) network {
		n.nodes, n.value = append(n.nodes, node("Mul", "squared", []string{"y", "y"})), "squared"
		return n
	}
	resize := func(a []*pb.AttributeProto, in ...string) network {
		return squared(chain(3, 2, "y", node("Resize", "y", in, a...)))
	}
	old := func(n network, opset int64) network {
		n.opset = opset
		return n
	}
	transposed := func(h, w int, weight, bias []int64, a ...*pb.AttributeProto) network {
		in, init := []string{"images", "w"}, []*pb.TensorProto{uniform(rng, "w", weight...)}
		if bias != nil {
			in, init = append(in, "b"), append(init, uniform(rng, "b", bias...))
		}
		return with(squared(chain(h, w, "y", node("ConvTranspose", "y", in, a...))), init...)
	}
	return map[string]network{
		"Resize by 2":           with(resize(nearest, "images", "", "scales"), scales(1, 1, 2, 2)),
		"Resize by 3 and 2":     with(resize(nil, "images", "", "scales"), scales(1, 1, 3, 2)),
		"Resize to sizes":       with(resize(nearest, "images", "", "", "sizes"), onnx.NewInts("sizes", 2, 3, 3, 8)),
		"Resize by 1":           with(resize(nearest, "images", "", "scales"), scales(1, 1, 1, 1)),
		"Resize axes":           old(with(resize(append(nearest[:3:3], onnx.Ints("axes", 3, 2)), "images", "", "scales"), scales(2, 5)), 18),
		"Resize 10":             old(with(resize(nil, "images", "scales"), scales(1, 1, 2, 2)), 10),
		"Upsample 9":            old(with(squared(chain(3, 2, "y", node("Upsample", "y", []string{"images", "scales"}))), scales(1, 1, 2, 3)), 9),
		"ConvTranspose 2/2":     transposed(3, 4, []int64{3, 4, 2, 2}, []int64{4}, box(2, 2)...),
		"ConvTranspose 2x3":     transposed(3, 4, []int64{3, 2, 2, 3}, nil, onnx.Ints("strides", 2, 3)),
		"ConvTranspose 3/2":     transposed(3, 4, []int64{3, 2, 3, 3}, []int64{2}, append(box(3, 2, 1, 1, 1, 1), onnx.Ints("output_padding", 1, 1))...),
		"ConvTranspose 3/1":     transposed(5, 4, []int64{3, 4, 3, 3}, nil, box(3, 1, 1, 0, 1, 2)...),
		"ConvTranspose groups":  transposed(3, 4, []int64{3, 2, 2, 2}, []int64{6}, append(box(2, 2), onnx.Int("group", 3))...),
		"ConvTranspose dilated": transposed(3, 4, []int64{3, 2, 3, 2}, nil, onnx.Ints("dilations", 2, 3), onnx.Ints("strides", 1, 2)),
	}
}

// uniform is a float32 initializer of random values.
func uniform(rng *rand.Rand, name string, dims ...int64) *pb.TensorProto {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return onnx.NewFloats(name, dims, Uniform(rng, int(n), -1, 1)...)
}
