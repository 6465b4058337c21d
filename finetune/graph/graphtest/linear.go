package graphtest

import (
	"math/rand/v2"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// linears are cases of matrix products with random weights.
func linears(rng *rand.Rand) map[string]network {
	weights := func(name string, dims ...int64) *pb.TensorProto { return uniform(rng, name, dims...) }
	flat := node("Flatten", "x", []string{"images"})
	gemm := func(a []*pb.AttributeProto, in string, init ...*pb.TensorProto) network {
		names := []string{in}
		for _, t := range init {
			names = append(names, t.Name)
		}
		return network{h: 2, w: 2, initializers: init, nodes: []*pb.NodeProto{flat, node("Transpose", "xt", []string{"x"}), node("Gemm", "y", names, a...)}, value: "y"}
	}
	transA, transB, alpha, beta := onnx.Int("transA", 1), onnx.Int("transB", 1), onnx.Float("alpha", .5), onnx.Float("beta", -2)
	cases := map[string]network{}
	cases["Gemm"] = gemm(nil, "x", weights("w", 12, 5))
	cases["Gemm B"] = gemm([]*pb.AttributeProto{transB}, "x", weights("w", 5, 12), weights("b", 5))
	cases["Gemm A"] = gemm([]*pb.AttributeProto{transA, alpha}, "xt", weights("w", 12, 5), weights("b", 1, 5))
	cases["Gemm AB"] = gemm([]*pb.AttributeProto{transA, transB, beta, alpha}, "xt", weights("w", 5, 12), weights("b", 2, 5))
	column := gemm([]*pb.AttributeProto{beta}, "x", weights("w", 12, 5), weights("b", 1))
	// The loss does not depend on what is added to all logits, so they are squared.
	column.nodes, column.value = append(column.nodes, node("Mul", "q", []string{"y", "y"})), "q"
	cases["Gemm column"] = column
	cases["MatMul"] = network{h: 2, w: 2, initializers: []*pb.TensorProto{weights("w", 12, 5), weights("b", 5)},
		nodes: []*pb.NodeProto{flat, node("MatMul", "z", []string{"x", "w"}), node("Add", "y", []string{"b", "z"})}, value: "y"}
	cases["MatMul 4-D"] = network{h: 2, w: 4, initializers: []*pb.TensorProto{weights("w", 4, 5)},
		nodes: []*pb.NodeProto{node("MatMul", "y", []string{"images", "w"})}, value: "y"}
	return cases
}
