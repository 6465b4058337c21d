package graph

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Features is the name of what the head reads, [N,D], where it is an output or
// a given input.
const Features = "features"

// HeadInput names the value that the last linear layer reads and says how wide
// it is; "" where the Spec names no such layer. A dropout before the layer is
// part of the head.
func (n *Network) HeadInput() (value string, width int) {
	if n.spec.Head == nil {
		return "", 0
	}
	producer := map[string]*pb.NodeProto{}
	var head *pb.NodeProto
	for _, node := range n.nodes {
		producer[node.Output[0]] = node
		if (node.OpType == "Gemm" || node.OpType == "MatMul") && has(node, 1) && node.Input[1] == n.spec.Head.Weight {
			head = node
		}
	}
	at := slices.IndexFunc(n.params, func(p Param) bool { return p.Name == n.spec.Head.Weight })
	if head == nil || at < 0 || len(n.params[at].Shape) != 2 {
		return "", 0
	}
	side := 0
	for _, a := range head.Attribute {
		if a.Name == "transB" && a.I != 0 {
			side = 1
		}
		if a.Name == "transA" && a.I != 0 {
			return "", 0
		}
	}
	value, width = head.Input[0], n.params[at].Shape[side]
	for p := producer[value]; p != nil && (p.OpType == "Dropout" || p.OpType == "Identity"); p = producer[value] {
		value = p.Input[0]
	}
	return value, width
}
