package graphtest

import (
	"math"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// slicing are cases of operators that concatenate, slice and split tensors.
func slicing() map[string]network {
	return map[string]network{
		"Concat":      chain(3, 4, "y", node("Relu", "r", []string{"images"}), node("Mul", "q", []string{"images", "images"}), node("Concat", "y", []string{"q", "images", "r", "q"}, onnx.Int("axis", -3))),
		"Concat last": chain(3, 4, "y", node("Mul", "q", []string{"images", "images"}), node("Concat", "y", []string{"q", "images"}, onnx.Int("axis", 3))),
		"Slice 9":     {h: 5, w: 4, opset: 9, nodes: []*pb.NodeProto{node("Slice", "y", []string{"images"}, onnx.Ints("starts", 1, -2), onnx.Ints("ends", 100, -1), onnx.Ints("axes", 2, 1))}, value: "y"},
		"Slice steps": with(chain(7, 8, "y", node("Slice", "y", []string{"images", "starts", "ends", "axes", "steps"})),
			onnx.NewInts("starts", 0, 1), onnx.NewInts("ends", math.MaxInt32, math.MaxInt64), onnx.NewInts("axes", 2, 3), onnx.NewInts("steps", 2, 3)),
		"Slice back": with(chain(7, 8, "y", node("Slice", "y", []string{"images", "starts", "ends", "axes", "steps"})),
			onnx.NewInts("starts", -1, 6, 2), onnx.NewInts("ends", math.MinInt64, 0, -4), onnx.NewInts("axes", -1, 2, 1), onnx.NewInts("steps", -3, -2, -1)),
		"Slice one":    with(chain(4, 3, "y", node("Slice", "y", []string{"images", "starts", "ends", "", "steps"})), onnx.NewInts("starts", 0, 2), onnx.NewInts("ends", 9, 3), onnx.NewInts("steps", 1, 5)),
		"Split":        with(chain(3, 4, "y", outputs("Split", []string{"a", "b"}, []string{"images", "parts"}, onnx.Int("axis", 1)), node("Mul", "y", []string{"a", "b"})), onnx.NewInts("parts", 1, 2)),
		"Split even":   chain(3, 4, "y", outputs("Split", []string{"a", "b"}, []string{"images"}, onnx.Int("axis", -1)), node("Mul", "y", []string{"b", "a"})),
		"Split uneven": {h: 3, w: 4, opset: 18, nodes: []*pb.NodeProto{outputs("Split", []string{"a", "b", "c"}, []string{"images"}, onnx.Int("axis", 2), onnx.Int("num_outputs", 3)), node("Mul", "y", []string{"c", "a"})}, value: "y"},
	}
}

// paddings are cases of Pad.
func paddings() map[string]network {
	return map[string]network{
		"Pad":          with(chain(3, 4, "y", node("Pad", "y", []string{"images", "pads", "v"})), onnx.NewInts("pads", 0, 1, 2, 0, 0, 1, 1, 3), onnx.NewFloats("v", nil, .5)),
		"Pad negative": with(chain(5, 4, "y", node("Pad", "y", []string{"images", "pads"})), onnx.NewInts("pads", 0, 0, -2, 1, 0, 1, 2, -1)),
		"Pad reflect":  with(chain(5, 4, "y", node("Pad", "y", []string{"images", "pads"}, text("mode", "reflect"))), onnx.NewInts("pads", 0, 0, 2, 3, 0, 1, 4, 0)),
		"Pad edge":     with(chain(3, 4, "y", node("Pad", "y", []string{"images", "pads"}, text("mode", "edge"))), onnx.NewInts("pads", 0, 0, 2, 3, 0, 1, 4, 0)),
		"Pad 2":        {h: 3, w: 4, opset: 2, nodes: []*pb.NodeProto{node("Pad", "y", []string{"images"}, onnx.Ints("pads", 0, 0, 1, 1, 0, 0, 0, 2), text("mode", "reflect"))}, value: "y"},
		"Pad axes":     {h: 3, w: 4, opset: 18, initializers: []*pb.TensorProto{onnx.NewInts("pads", 1, 2, 0, 1), onnx.NewInts("axes", -1, 1)}, nodes: []*pb.NodeProto{node("Pad", "y", []string{"images", "pads", "", "axes"})}, value: "y"},
	}
}

// reshapes are cases of operators that change only the shape or the layout.
func reshapes() map[string]network {
	return map[string]network{
		"Transpose": single(3, 4, "Transpose", onnx.Ints("perm", 0, 3, 1, 2)),
		"shuffle": with(chain(2, 3, "y", node("Concat", "c", []string{"images", "images"}, onnx.Int("axis", 1)), node("Mul", "q", []string{"c", "c"}), node("Reshape", "p", []string{"q", "pairs"}),
			node("Transpose", "u", []string{"p"}, onnx.Ints("perm", 0, 2, 1, 3, 4)), node("Reshape", "y", []string{"u", "back"})), onnx.NewInts("pairs", 0, 2, 3, 2, 3), onnx.NewInts("back", 0, -1, 2, 3)),
		"Squeeze":       with(chain(3, 4, "y", node("GlobalAveragePool", "g", []string{"images"}), node("Squeeze", "y", []string{"g", "axes"})), onnx.NewInts("axes", 2, 3)),
		"Gather":        with(chain(3, 4, "y", node("Gather", "y", []string{"images", "at"}, onnx.Int("axis", 1))), onnx.NewInts("at", 2, 0, -2, 2)),
		"Gather scalar": with(chain(3, 4, "y", node("Gather", "y", []string{"images", "at"}, onnx.Int("axis", -1))), scalar("at", 3)),
		"Expand":        with(chain(3, 4, "y", node("ReduceMean", "m", []string{"images"}, onnx.Ints("axes", 1, 3)), node("Expand", "y", []string{"m", "sizes"})), onnx.NewInts("sizes", 5, 1, 4)),
		"Unsqueeze":     {h: 3, w: 4, opset: 11, nodes: []*pb.NodeProto{node("Unsqueeze", "y", []string{"images"}, onnx.Ints("axes", 1, -1))}, value: "y"},
	}
}

// scalar is an int64 initializer of no dimensions.
func scalar(name string, v int64) *pb.TensorProto {
	t := onnx.NewInts(name, v)
	t.Dims = nil
	return t
}
