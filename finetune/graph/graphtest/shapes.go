package graphtest

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// shape is a network whose value goes to the logits, flattened: one of pooling,
// linear layers, arithmetic, and of what moves elements.
type shape struct {
	h, w         int
	opset        int64 // 0: onnx.Opset
	initializers []*pb.TensorProto
	nodes        []*pb.NodeProto
	value        string
	kinks        []float64 // that images keep away from
}

func (s shape) make(rng *rand.Rand, name string) Case {
	m := NewModel(rng, s.h, s.w)
	m.g.Initializer, m.g.Node = s.initializers, s.nodes
	const batch = 2
	images := Away(Distinct(rng, batch*3*s.h*s.w, .1, 2), s.kinks...)
	c := m.Case(name, s.value, batch, true, images)
	if s.opset != 0 {
		c.Model.Proto.OpsetImport[0].Version = s.opset
	}
	return c
}

func node(op, output string, inputs []string, a ...*pb.AttributeProto) *pb.NodeProto {
	return onnx.NewNode(op, output, inputs, a...)
}

func text(name, v string) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_STRING, S: []byte(v)}
}

// outputs is a node of several.
func outputs(op string, out, inputs []string, a ...*pb.AttributeProto) *pb.NodeProto {
	n := node(op, out[0], inputs, a...)
	n.Output = out
	return n
}

// box are a square kernel, its step, and pads.
func box(kernel, stride int, pads ...int) []*pb.AttributeProto {
	a := []*pb.AttributeProto{Ints("kernel_shape", kernel, kernel), Ints("strides", stride, stride)}
	if len(pads) > 0 {
		a = append(a, Ints("pads", pads...))
	}
	return a
}

// shapes are the cases, in the order of their names.
func shapes(rng *rand.Rand) (out []Case) {
	all := shapeCases(rng)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name].make(rng, name))
	}
	return out
}

func shapeCases(rng *rand.Rand) map[string]shape {
	one := func(h, w int, op string, a ...*pb.AttributeProto) shape {
		return shape{h: h, w: w, nodes: []*pb.NodeProto{node(op, "y", []string{"images"}, a...)}, value: "y"}
	}
	with := func(m shape, more ...*pb.TensorProto) shape {
		m.initializers = append(m.initializers, more...)
		return m
	}
	chain := func(h, w int, value string, nodes ...*pb.NodeProto) shape {
		return shape{h: h, w: w, nodes: nodes, value: value}
	}
	weights := func(name string, dims ...int64) *pb.TensorProto {
		n := int64(1)
		for _, d := range dims {
			n *= d
		}
		return onnx.NewFloats(name, dims, Uniform(rng, int(n), -1, 1)...)
	}
	ceil, include := onnx.Int("ceil_mode", 1), onnx.Int("count_include_pad", 1)
	cases := map[string]shape{
		"MaxPool 2/2":               one(6, 4, "MaxPool", box(2, 2)...),
		"MaxPool 3/2 pad 1":         one(7, 6, "MaxPool", box(3, 2, 1, 1, 1, 1)...),
		"MaxPool 3/1 overlap":       one(5, 5, "MaxPool", box(3, 1, 1, 0, 0, 1)...),
		"MaxPool ceil":              one(6, 7, "MaxPool", append(box(3, 2), ceil)...),
		"MaxPool ceil pad":          one(5, 8, "MaxPool", append(box(2, 3, 1, 1, 0, 0), ceil)...),
		"MaxPool dilated":           one(7, 8, "MaxPool", append(box(2, 1, 1, 1, 1, 1), onnx.Ints("dilations", 2, 3))...),
		"MaxPool same upper":        one(7, 6, "MaxPool", append(box(2, 2), text("auto_pad", "SAME_UPPER"))...),
		"MaxPool same lower":        one(5, 6, "MaxPool", append(box(4, 3), text("auto_pad", "SAME_LOWER"))...),
		"AveragePool 2/2":           one(6, 4, "AveragePool", box(2, 2)...),
		"AveragePool 7/7":           one(14, 7, "AveragePool", box(7, 7)...),
		"AveragePool rest":          one(7, 5, "AveragePool", box(2, 2)...),
		"AveragePool 3/2 pad":       one(7, 6, "AveragePool", box(3, 2, 1, 1, 1, 1)...),
		"AveragePool gaps":          one(8, 9, "AveragePool", box(2, 3)...),
		"AveragePool include":       one(7, 6, "AveragePool", append(box(3, 2, 1, 0, 1, 1), include)...),
		"AveragePool ceil":          one(6, 7, "AveragePool", append(box(3, 2, 1, 1, 1, 1), ceil)...),
		"AveragePool ceil include":  one(6, 7, "AveragePool", append(box(3, 2, 1, 1, 1, 1), ceil, include)...),
		"AveragePool ceil include2": one(5, 8, "AveragePool", append(box(2, 3, 1, 1, 0, 0), ceil, include)...),
		"AveragePool dilated":       one(8, 9, "AveragePool", append(box(2, 2, 1, 1, 2, 0), onnx.Ints("dilations", 3, 2))...),
		"AveragePool valid":         one(7, 5, "AveragePool", append(box(3, 2), text("auto_pad", "VALID"))...),
		"GlobalAveragePool":         one(5, 3, "GlobalAveragePool"),
		"ReduceMean":                one(5, 3, "ReduceMean", onnx.Ints("axes", -1, 1), onnx.Int("keepdims", 0)),
		"ReduceMean kept":           one(3, 4, "ReduceMean", onnx.Ints("axes", 2, 3)),
		"ReduceMean 18":             {h: 3, w: 4, opset: 18, initializers: []*pb.TensorProto{onnx.NewInts("axes", 2)}, nodes: []*pb.NodeProto{node("ReduceMean", "y", []string{"images", "axes"})}, value: "y"},
		"ReduceSum":                 with(chain(3, 4, "y", node("ReduceSum", "y", []string{"images", "axes"}, onnx.Int("keepdims", 0))), onnx.NewInts("axes", 3, 1)),
		"Relu":                      with(chain(3, 4, "y", node("Sub", "s", []string{"images", "c"}), node("Relu", "y", []string{"s"})), onnx.NewFloats("c", nil, .8)),
		"Clip":                      with(chain(3, 4, "y", node("Clip", "y", []string{"images", "low", "high"})), onnx.NewFloats("low", nil, .5), onnx.NewFloats("high", []int64{1}, 1.5)),
		"Clip high":                 with(chain(3, 4, "y", node("Clip", "y", []string{"images", "", "high"})), onnx.NewFloats("high", nil, 1.5)),
		"Clip 6":                    {h: 3, w: 4, opset: 6, nodes: []*pb.NodeProto{node("Clip", "y", []string{"images"}, onnx.Float("min", .5), onnx.Float("max", 1))}, value: "y"},
		"Transpose":                 one(3, 4, "Transpose", onnx.Ints("perm", 0, 3, 1, 2)),
		"Identity":                  chain(3, 4, "y", node("Identity", "x", []string{"images"}), node("Identity", "y", []string{"x"})),
		"x+x":                       chain(3, 4, "y", node("Add", "y", []string{"images", "images"})),
		"x*x":                       chain(3, 4, "y", node("Mul", "y", []string{"images", "images"})),
		"x-x*x":                     chain(3, 4, "y", node("Mul", "q", []string{"images", "images"}), node("Sub", "y", []string{"images", "q"})),
		"per channel":               with(chain(3, 4, "y", node("Sub", "s", []string{"images", "m"}), node("Div", "y", []string{"s", "d"})), onnx.NewFloats("m", []int64{1, 3, 1, 1}, .1, .2, .3), onnx.NewFloats("d", []int64{3, 1, 1}, .5, 2, -1)),
		"constant on the left":      with(chain(3, 4, "y", node("Div", "s", []string{"c", "images"}), node("Mul", "t", []string{"c", "s"}), node("Add", "y", []string{"c", "t"})), onnx.NewFloats("c", nil, .5)),
		"broadcast":                 chain(3, 4, "y", node("ReduceMean", "m", []string{"images"}, onnx.Ints("axes", 2, 3)), node("Div", "d", []string{"images", "m"}), node("ReduceMean", "n", []string{"images"}, onnx.Ints("axes", 0, 1), onnx.Int("keepdims", 0)), node("Sub", "e", []string{"n", "d"}), node("Mul", "f", []string{"m", "e"}), node("Add", "y", []string{"f", "n"})),
		"Concat":                    chain(3, 4, "y", node("Relu", "r", []string{"images"}), node("Mul", "q", []string{"images", "images"}), node("Concat", "y", []string{"q", "images", "r", "q"}, onnx.Int("axis", -3))),
		"Concat last":               chain(3, 4, "y", node("Mul", "q", []string{"images", "images"}), node("Concat", "y", []string{"q", "images"}, onnx.Int("axis", 3))),
		"Slice 9":                   {h: 5, w: 4, opset: 9, nodes: []*pb.NodeProto{node("Slice", "y", []string{"images"}, onnx.Ints("starts", 1, -2), onnx.Ints("ends", 100, -1), onnx.Ints("axes", 2, 1))}, value: "y"},
		"Slice steps": with(chain(7, 8, "y", node("Slice", "y", []string{"images", "starts", "ends", "axes", "steps"})),
			onnx.NewInts("starts", 0, 1), onnx.NewInts("ends", math.MaxInt32, math.MaxInt64), onnx.NewInts("axes", 2, 3), onnx.NewInts("steps", 2, 3)),
		"Slice back": with(chain(7, 8, "y", node("Slice", "y", []string{"images", "starts", "ends", "axes", "steps"})),
			onnx.NewInts("starts", -1, 6, 2), onnx.NewInts("ends", math.MinInt64, 0, -4), onnx.NewInts("axes", -1, 2, 1), onnx.NewInts("steps", -3, -2, -1)),
		"Slice one":    with(chain(4, 3, "y", node("Slice", "y", []string{"images", "starts", "ends", "", "steps"})), onnx.NewInts("starts", 0, 2), onnx.NewInts("ends", 9, 3), onnx.NewInts("steps", 1, 5)),
		"Split":        with(chain(3, 4, "y", outputs("Split", []string{"a", "b"}, []string{"images", "parts"}, onnx.Int("axis", 1)), node("Mul", "y", []string{"a", "b"})), onnx.NewInts("parts", 1, 2)),
		"Split even":   chain(3, 4, "y", outputs("Split", []string{"a", "b"}, []string{"images"}, onnx.Int("axis", -1)), node("Mul", "y", []string{"b", "a"})),
		"Split uneven": {h: 3, w: 4, opset: 18, nodes: []*pb.NodeProto{outputs("Split", []string{"a", "b", "c"}, []string{"images"}, onnx.Int("axis", 2), onnx.Int("num_outputs", 3)), node("Mul", "y", []string{"c", "a"})}, value: "y"},
		"Pad":          with(chain(3, 4, "y", node("Pad", "y", []string{"images", "pads", "v"})), onnx.NewInts("pads", 0, 1, 2, 0, 0, 1, 1, 3), onnx.NewFloats("v", nil, .5)),
		"Pad negative": with(chain(5, 4, "y", node("Pad", "y", []string{"images", "pads"})), onnx.NewInts("pads", 0, 0, -2, 1, 0, 1, 2, -1)),
		"Pad reflect":  with(chain(5, 4, "y", node("Pad", "y", []string{"images", "pads"}, text("mode", "reflect"))), onnx.NewInts("pads", 0, 0, 2, 3, 0, 1, 4, 0)),
		"Pad edge":     with(chain(3, 4, "y", node("Pad", "y", []string{"images", "pads"}, text("mode", "edge"))), onnx.NewInts("pads", 0, 0, 2, 3, 0, 1, 4, 0)),
		"Pad 2":        {h: 3, w: 4, opset: 2, nodes: []*pb.NodeProto{node("Pad", "y", []string{"images"}, onnx.Ints("pads", 0, 0, 1, 1, 0, 0, 0, 2), text("mode", "reflect"))}, value: "y"},
		"Pad axes":     {h: 3, w: 4, opset: 18, initializers: []*pb.TensorProto{onnx.NewInts("pads", 1, 2, 0, 1), onnx.NewInts("axes", -1, 1)}, nodes: []*pb.NodeProto{node("Pad", "y", []string{"images", "pads", "", "axes"})}, value: "y"},
		"shuffle": with(chain(2, 3, "y", node("Concat", "c", []string{"images", "images"}, onnx.Int("axis", 1)), node("Mul", "q", []string{"c", "c"}), node("Reshape", "p", []string{"q", "pairs"}),
			node("Transpose", "u", []string{"p"}, onnx.Ints("perm", 0, 2, 1, 3, 4)), node("Reshape", "y", []string{"u", "back"})), onnx.NewInts("pairs", 0, 2, 3, 2, 3), onnx.NewInts("back", 0, -1, 2, 3)),
		"Squeeze":     chain(3, 4, "y", node("GlobalAveragePool", "g", []string{"images"}), node("Squeeze", "y", []string{"g", "axes"})),
		"Unsqueeze":   {h: 3, w: 4, opset: 11, nodes: []*pb.NodeProto{node("Unsqueeze", "y", []string{"images"}, onnx.Ints("axes", 1, -1))}, value: "y"},
		"Dropout":     chain(3, 4, "y", node("Dropout", "y", []string{"images"})),
		"Dropout two": {h: 3, w: 4, opset: 10, nodes: []*pb.NodeProto{node("Dropout", "x", []string{"images"}, onnx.Float("ratio", .25)), node("Dropout", "y", []string{"x"}, onnx.Float("ratio", 0))}, value: "y"},
	}
	for name, kinks := range map[string][]float64{"Relu": {.8}, "Clip": {.5, 1.5}, "Clip high": {1.5}, "Clip 6": {.5, 1}} {
		c := cases[name]
		c.kinks = kinks
		cases[name] = c
	}
	m := cases["Squeeze"]
	m.initializers = []*pb.TensorProto{onnx.NewInts("axes", 2, 3)}
	cases["Squeeze"] = m
	flat := node("Flatten", "x", []string{"images"})
	linear := func(a []*pb.AttributeProto, in string, init ...*pb.TensorProto) shape {
		names := []string{in}
		for _, t := range init {
			names = append(names, t.Name)
		}
		return shape{h: 2, w: 2, initializers: init, nodes: []*pb.NodeProto{flat, node("Transpose", "xt", []string{"x"}), node("Gemm", "y", names, a...)}, value: "y"}
	}
	transA, transB, alpha, beta := onnx.Int("transA", 1), onnx.Int("transB", 1), onnx.Float("alpha", .5), onnx.Float("beta", -2)
	cases["Gemm"] = linear(nil, "x", weights("w", 12, 5))
	cases["Gemm B"] = linear([]*pb.AttributeProto{transB}, "x", weights("w", 5, 12), weights("b", 5))
	cases["Gemm A"] = linear([]*pb.AttributeProto{transA, alpha}, "xt", weights("w", 12, 5), weights("b", 1, 5))
	cases["Gemm AB"] = linear([]*pb.AttributeProto{transA, transB, beta, alpha}, "xt", weights("w", 5, 12), weights("b", 2, 5))
	cases["Gemm column"] = linear([]*pb.AttributeProto{beta}, "x", weights("w", 12, 5), weights("b", 1))
	column := cases["Gemm column"] // the loss does not see what is added to all logits
	column.nodes, column.value = append(column.nodes, node("Mul", "q", []string{"y", "y"})), "q"
	cases["Gemm column"] = column
	cases["MatMul"] = shape{h: 2, w: 2, initializers: []*pb.TensorProto{weights("w", 12, 5), weights("b", 5)},
		nodes: []*pb.NodeProto{flat, node("MatMul", "z", []string{"x", "w"}), node("Add", "y", []string{"b", "z"})}, value: "y"}
	cases["MatMul 4-D"] = shape{h: 2, w: 4, initializers: []*pb.TensorProto{weights("w", 4, 5)},
		nodes: []*pb.NodeProto{node("MatMul", "y", []string{"images", "w"})}, value: "y"}
	return cases
}
