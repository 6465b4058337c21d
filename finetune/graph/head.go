package graph

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Features is the name for the input of the head, [N,D], as an output or as an
// input of a program.
const Features = "features"

// HeadInput returns the name and the width of the value that the head, the last
// linear layer, reads; "" if the Spec names no such layer. A dropout before the
// layer is part of the head.
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
