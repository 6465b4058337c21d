package onnx

import (
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Rank is the number of dimensions that the model's file declares for a value,
// -1 where it does not.
func (m *Model) Rank(value string) int {
	g := m.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Output, g.ValueInfo, g.Input} {
		for _, p := range list {
			if v := valueOf(p); p.Name == value && v.Known {
				return len(v.Shape)
			}
		}
	}
	return -1
}

// WithRank returns the model with a value declared as a float32 tensor of the
// given rank and of open sizes.
func (m *Model) WithRank(value string, rank int) *Model {
	c := m.shallow()
	c.Proto.Graph.ValueInfo = append(slices.Clip(c.Proto.Graph.ValueInfo), NewValue(value, pb.TensorProto_FLOAT, openDims(rank)...))
	return c
}

// openDims are dimensions without size and name.
func openDims(rank int) []*pb.TensorShapeProto_Dimension {
	dims := make([]*pb.TensorShapeProto_Dimension, rank)
	for i := range dims {
		dims[i] = &pb.TensorShapeProto_Dimension{}
	}
	return dims
}

// Width is the number of features in a value [N,D], or in a map [N,C,H,W] once it
// is averaged over space: the columns of the linear layer that reads it, else what
// the model declares. It is 0 where the model does not say.
func (m *Model) Width(value string) int {
	if w := m.columnsRead(value); w > 0 {
		return w
	}
	g := m.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Output, g.ValueInfo} {
		for _, p := range list {
			v := valueOf(p)
			if p.Name != value || !v.Known || len(v.Shape) != 2 && len(v.Shape) != 4 {
				continue
			}
			axis := 1
			if spec, _, err := m.Spec(); err == nil && len(v.Shape) == 4 && m.spatialAxes(value, spec.Input, spec.Layout)[0] == 1 {
				axis = 3
			}
			return int(v.Shape[axis].Size)
		}
	}
	return 0
}

// columnsRead is the number of columns of value that a linear layer reads, 0
// where none reads it.
func (m *Model) columnsRead(value string) int {
	weights := map[string][]int64{}
	for _, t := range m.Proto.Graph.Initializer {
		weights[t.Name] = t.Dims
	}
	for _, n := range m.Proto.Graph.Node {
		if (n.OpType == "Gemm" || n.OpType == "MatMul") && len(n.Input) > 1 && n.Input[0] == value {
			if d := weights[n.Input[1]]; len(d) == 2 && attribute(n, "transA").GetI() == 0 {
				return int(d[attribute(n, "transB").GetI()&1])
			}
		}
	}
	return 0
}

// spatialAxes are the axes of height and width of a value of four dimensions, in
// a model whose image input has a layout: 1 and 2 for what is computed element by
// element of an input [N,H,W,C], or of a transposition to that. Convolutions and
// pooling always make [N,C,H,W], also in models whose input is [N,H,W,C].
func (m *Model) spatialAxes(value, input, layout string) []int64 {
	nchw, nhwc := []int64{2, 3}, []int64{1, 2}
	producer := m.producers()
	for range m.Proto.Graph.Node { // a damaged graph may have cycles
		n := producer[value]
		switch {
		case value == input && layout == "nhwc":
			return nhwc
		case value == input || n == nil:
			return nchw
		case n.OpType == "Transpose" && slices.Equal(attribute(n, "perm").GetInts(), []int64{0, 2, 3, 1}):
			return nhwc
		case n.OpType == "Transpose" || n.OpType == "BatchNormalization" || strings.Contains(n.OpType, "Conv") || strings.Contains(n.OpType, "Pool"):
			return nchw
		}
		value = "" // the first operand that is not a constant
		for _, v := range n.Input {
			if p := producer[v]; value == "" && (v == input || p != nil && p.OpType != "Constant") {
				value = v
			}
		}
	}
	return nchw
}

// ranks holds the number of dimensions of values, as far as it is known.
type ranks map[string]int

// ranks infers the ranks of a graph's values from what the file declares and from
// the operators.
func (m *Model) ranks() ranks {
	g := m.Proto.Graph
	known := ranks{}
	for _, t := range g.Initializer {
		known[t.Name] = len(t.Dims)
	}
	for _, list := range [][]*pb.ValueInfoProto{g.Input, g.ValueInfo, g.Output} {
		for _, p := range list {
			if v := valueOf(p); v.Known {
				known[v.Name] = len(v.Shape)
			}
		}
	}
	for _, n := range g.Node {
		rank := operators[n.OpType].rank
		if rank == nil || !standard(n) {
			continue
		}
		r := rank(m, n, known)
		for _, o := range n.Output {
			if _, declared := known[o]; !declared && r >= 0 {
				known[o] = r
			}
		}
	}
	return known
}

// of is the rank of an input of a node, -1 where it is not known.
func (r ranks) of(n *pb.NodeProto, input int) int {
	if input < len(n.Input) {
		if rank, known := r[n.Input[input]]; known {
			return rank
		}
	}
	return -1
}

// The rules by which operators tell the rank of their outputs, for operator.rank.

func rank1(*Model, *pb.NodeProto, ranks) int { return 1 }

func rank2(*Model, *pb.NodeProto, ranks) int { return 2 }

func rankOfFirst(_ *Model, n *pb.NodeProto, r ranks) int { return r.of(n, 0) }

// rankOfLarger is that of two operands which are broadcast against each other.
func rankOfLarger(_ *Model, n *pb.NodeProto, r ranks) int {
	a, b := r.of(n, 0), r.of(n, 1)
	if min(a, b) < 0 {
		return -1
	}
	return max(a, b)
}

// rankOfProduct is that of a matrix product. Operands of one dimension, which it
// drops, are left out.
func rankOfProduct(_ *Model, n *pb.NodeProto, r ranks) int {
	a, b := r.of(n, 0), r.of(n, 1)
	if min(a, b) < 2 {
		return -1
	}
	return max(a, b)
}

func rankOfConstant(_ *Model, n *pb.NodeProto, _ ranks) int {
	if t := attribute(n, "value"); t != nil {
		return len(t.T.GetDims())
	}
	return -1
}

func rankOfReshaped(m *Model, n *pb.NodeProto, _ ranks) int {
	if len(n.Input) > 1 {
		return int(m.constantSize(n.Input[1]))
	}
	return -1
}

func rankOfGathered(_ *Model, n *pb.NodeProto, r ranks) int {
	a, indices := r.of(n, 0), r.of(n, 1)
	if min(a, indices) < 0 {
		return -1
	}
	return a + indices - 1
}

func rankOfReduced(m *Model, n *pb.NodeProto, r ranks) int {
	if keep := attribute(n, "keepdims"); keep == nil || keep.I != 0 {
		return r.of(n, 0)
	}
	return rankOfSqueezed(m, n, r)
}

func rankOfSqueezed(m *Model, n *pb.NodeProto, r ranks) int {
	if axes := m.axesNamed(n); axes >= 0 {
		return r.of(n, 0) - axes
	}
	return -1
}

func rankOfUnsqueezed(m *Model, n *pb.NodeProto, r ranks) int {
	a, axes := r.of(n, 0), m.axesNamed(n)
	if min(a, axes) < 0 {
		return -1
	}
	return a + axes
}

// axesNamed is the number of axes that a node names, by an attribute or by a
// constant input, below 0 where that cannot be told.
func (m *Model) axesNamed(n *pb.NodeProto) int {
	if a := attribute(n, "axes"); a != nil {
		return len(a.Ints)
	}
	if len(n.Input) > 1 {
		return int(m.constantSize(n.Input[1]))
	}
	return -1
}
