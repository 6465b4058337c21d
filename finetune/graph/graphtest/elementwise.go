package graphtest

import (
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// elementwise are cases of elementwise operators.
func elementwise() map[string]network {
	return map[string]network{
		"Relu":                 with(chain(3, 4, "y", node("Sub", "s", []string{"images", "c"}), node("Relu", "y", []string{"s"})), onnx.NewFloats("c", nil, .8)).awayFrom(.8),
		"Clip":                 with(chain(3, 4, "y", node("Clip", "y", []string{"images", "low", "high"})), onnx.NewFloats("low", nil, .5), onnx.NewFloats("high", []int64{1}, 1.5)).awayFrom(.5, 1.5),
		"Clip high":            with(chain(3, 4, "y", node("Clip", "y", []string{"images", "", "high"})), onnx.NewFloats("high", nil, 1.5)).awayFrom(1.5),
		"Clip 6":               network{h: 3, w: 4, opset: 6, nodes: []*pb.NodeProto{node("Clip", "y", []string{"images"}, onnx.Float("min", .5), onnx.Float("max", 1))}, value: "y"}.awayFrom(.5, 1),
		"x+x":                  chain(3, 4, "y", node("Add", "y", []string{"images", "images"})),
		"x*x":                  chain(3, 4, "y", node("Mul", "y", []string{"images", "images"})),
		"x-x*x":                chain(3, 4, "y", node("Mul", "q", []string{"images", "images"}), node("Sub", "y", []string{"images", "q"})),
		"per channel":          with(chain(3, 4, "y", node("Sub", "s", []string{"images", "m"}), node("Div", "y", []string{"s", "d"})), onnx.NewFloats("m", []int64{1, 3, 1, 1}, .1, .2, .3), onnx.NewFloats("d", []int64{3, 1, 1}, .5, 2, -1)),
		"constant on the left": with(chain(3, 4, "y", node("Div", "s", []string{"c", "images"}), node("Mul", "t", []string{"c", "s"}), node("Add", "y", []string{"c", "t"})), onnx.NewFloats("c", nil, .5)),
		"broadcast":            chain(3, 4, "y", node("ReduceMean", "m", []string{"images"}, onnx.Ints("axes", 2, 3)), node("Div", "d", []string{"images", "m"}), node("ReduceMean", "n", []string{"images"}, onnx.Ints("axes", 0, 1), onnx.Int("keepdims", 0)), node("Sub", "e", []string{"n", "d"}), node("Mul", "f", []string{"m", "e"}), node("Add", "y", []string{"f", "n"})),
		"Sigmoid":              with(chain(3, 4, "y", node("Mul", "s", []string{"images", "c"}), node("Sigmoid", "p", []string{"s"}), node("Mul", "y", []string{"p", "images"})), onnx.NewFloats("c", []int64{3, 1, 1}, 1, -2, 5)),
		"Identity":             chain(3, 4, "y", node("Identity", "x", []string{"images"}), node("Identity", "y", []string{"x"})),
		"Dropout":              chain(3, 4, "y", node("Dropout", "y", []string{"images"})),
		"Dropout two":          {h: 3, w: 4, opset: 10, nodes: []*pb.NodeProto{node("Dropout", "x", []string{"images"}, onnx.Float("ratio", .25)), node("Dropout", "y", []string{"x"}, onnx.Float("ratio", 0))}, value: "y"},
	}
}

// reductions are cases of ReduceMean and ReduceSum.
func reductions() map[string]network {
	return map[string]network{
		"ReduceMean":      single(5, 3, "ReduceMean", onnx.Ints("axes", -1, 1), onnx.Int("keepdims", 0)),
		"ReduceMean kept": single(3, 4, "ReduceMean", onnx.Ints("axes", 2, 3)),
		"ReduceMean 18":   {h: 3, w: 4, opset: 18, initializers: []*pb.TensorProto{onnx.NewInts("axes", 2)}, nodes: []*pb.NodeProto{node("ReduceMean", "y", []string{"images", "axes"})}, value: "y"},
		"ReduceSum":       with(chain(3, 4, "y", node("ReduceSum", "y", []string{"images", "axes"}, onnx.Int("keepdims", 0))), onnx.NewInts("axes", 3, 1)),
	}
}
