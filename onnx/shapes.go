package onnx

import (
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Rank is the number of dimensions of a value: what the model's file declares, else
// what follows from the operators, also where they compute shapes. It is -1 where
// neither tells.
func (m *Model) Rank(value string) int {
	g := m.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Output, g.ValueInfo, g.Input} {
		for _, p := range list {
			if v := valueOf(p); p.Name == value && v.Known {
				return len(v.Shape)
			}
		}
	}
	if t := m.infer()[value]; t.ranked {
		return len(t.dims)
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
// the model declares, else what follows from the operators. It is 0 where none of
// them tells.
func (m *Model) Width(value string) int {
	if w := m.columnsRead(value); w > 0 {
		return w
	}
	for _, h := range m.heads() {
		if h.input == value && h.width > 0 {
			return h.width
		}
	}
	g := m.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Output, g.ValueInfo} {
		for _, p := range list {
			v := valueOf(p)
			if p.Name != value || !v.Known || len(v.Shape) != 2 && len(v.Shape) != 4 {
				continue
			}
			if size := v.Shape[m.channelAxis(value, len(v.Shape))].Size; size > 0 {
				return int(size)
			}
		}
	}
	if t := m.infer()[value]; len(t.dims) == 2 || len(t.dims) == 4 {
		return max(0, int(t.dims[m.channelAxis(value, len(t.dims))].size()))
	}
	return 0
}

// channelAxis is the axis of the features of a value of two or four dimensions.
func (m *Model) channelAxis(value string, rank int) int {
	if spec, _, err := m.Spec(); err == nil && rank == 4 && m.spatialAxes(value, spec.Input, spec.Layout)[0] == 1 {
		return 3
	}
	return 1
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
