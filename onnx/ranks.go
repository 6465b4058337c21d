package onnx

import (
	"github.com/robust-transfer/rtx/onnx/pb"
)

// ranks are the numbers of dimensions of a graph's values, as far as the file
// or the operators tell them.
func (m *Model) ranks() map[string]int {
	g := m.Proto.Graph
	ranks := map[string]int{}
	for _, t := range g.Initializer {
		ranks[t.Name] = len(t.Dims)
	}
	for _, list := range [][]*pb.ValueInfoProto{g.Input, g.ValueInfo, g.Output} {
		for _, p := range list {
			if v := valueOf(p); v.Known {
				ranks[v.Name] = len(v.Shape)
			}
		}
	}
	for _, n := range g.Node {
		r := m.rankOf(n, ranks)
		for _, o := range n.Output {
			if _, told := ranks[o]; !told && r >= 0 && standard(n) {
				ranks[o] = r
			}
		}
	}
	return ranks
}

// rankOf is the rank of a node's outputs, below 0 where that cannot be told.
func (m *Model) rankOf(n *pb.NodeProto, ranks map[string]int) int {
	in := func(i int) int {
		if i < len(n.Input) {
			if r, told := ranks[n.Input[i]]; told {
				return r
			}
		}
		return -1
	}
	switch n.OpType {
	case "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "BatchNormalization", "Relu", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu",
		"PRelu", "Elu", "Tanh", "Exp", "Sqrt", "Neg", "Abs", "Clip", "Softmax", "LogSoftmax", "Identity", "Cast", "Dropout", "Pad", "Slice", "Concat", "Split", "Transpose":
		return in(0)
	case "Add", "Sub", "Mul", "Div":
		if min(in(0), in(1)) >= 0 {
			return max(in(0), in(1))
		}
	case "MatMul":
		if min(in(0), in(1)) >= 2 {
			return max(in(0), in(1))
		}
	case "Flatten", "Gemm":
		return 2
	case "Shape":
		return 1
	case "Constant":
		if t := attribute(n, "value"); t != nil {
			return len(t.T.GetDims())
		}
	case "Reshape":
		if len(n.Input) > 1 {
			return int(m.constantSize(n.Input[1]))
		}
	case "Gather":
		if min(in(0), in(1)) >= 0 {
			return in(0) + in(1) - 1
		}
	case "ReduceMean", "ReduceSum", "ReduceMax", "Squeeze":
		if keep := attribute(n, "keepdims"); n.OpType != "Squeeze" && (keep == nil || keep.I != 0) {
			return in(0)
		}
		if axes := m.axes(n); axes >= 0 {
			return in(0) - axes
		}
	case "Unsqueeze":
		if axes := m.axes(n); min(in(0), axes) >= 0 {
			return in(0) + axes
		}
	}
	return -1
}

// axes is the number of axes that a node names, below 0 where that cannot be
// told.
func (m *Model) axes(n *pb.NodeProto) int {
	if a := attribute(n, "axes"); a != nil {
		return len(a.Ints)
	}
	if len(n.Input) > 1 {
		return int(m.constantSize(n.Input[1]))
	}
	return -1
}
