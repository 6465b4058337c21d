package foreign

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// graph answers questions about the nodes of a model.
type graph struct {
	producer map[string]*pb.NodeProto
	readers  map[string][]*pb.NodeProto
}

func newGraph(m *onnx.Model) *graph {
	g := &graph{map[string]*pb.NodeProto{}, map[string][]*pb.NodeProto{}}
	for _, n := range m.Proto.Graph.Node {
		for _, o := range n.Output {
			g.producer[o] = n
		}
		for _, in := range n.Input {
			g.readers[in] = append(g.readers[in], n)
		}
	}
	return g
}

// layers are the operators that mix channels by weights: a search for what was done to
// their results ends at them.
var layers = []string{"Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul"}

// within tells whether one of some operators is between a value and the layers that it
// is computed by.
func (g *graph) within(value string, operators ...string) bool {
	seen := map[string]bool{}
	var search func(v string) bool
	search = func(v string) bool {
		n := g.producer[v]
		if seen[v] || n == nil || slices.Contains(layers, n.OpType) {
			return false
		}
		seen[v] = true
		return slices.Contains(operators, n.OpType) || slices.ContainsFunc(n.Input, search)
	}
	return search(value)
}

// has tells whether the graph has a node of one of some operators.
func (g *graph) has(operators ...string) bool {
	for _, n := range g.producer {
		if slices.Contains(operators, n.OpType) {
			return true
		}
	}
	return false
}

// still are the operators that change no value, or round it only.
var still = []string{"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast", "QuantizeLinear", "DequantizeLinear"}

// behind is the node that computes a value, whatever was moved or cast since.
func (g *graph) behind(value string) *pb.NodeProto {
	for range len(g.producer) { // a damaged graph may have cycles
		n := g.producer[value]
		if n == nil || !slices.Contains(still, n.OpType) || len(n.Input) == 0 {
			return n
		}
		value = n.Input[0]
	}
	return nil
}

// parts are the nodes that compute what a value was put together of along one of its
// three axes, those of concatenations along the same axis within it among them.
func (g *graph) parts(value string) (parts []*pb.NodeProto) {
	left, along := len(g.producer), int64(-1)
	var take func(v string)
	take = func(v string) {
		n := g.behind(v)
		if left--; n == nil || n.OpType != "Concat" || left < 0 || along >= 0 && axis(n) != along {
			parts = append(parts, n)
			return
		}
		along = axis(n)
		for _, in := range n.Input {
			take(in)
		}
	}
	take(value)
	return parts
}

// axis is that of a Concat of values of three dimensions.
func axis(n *pb.NodeProto) int64 {
	for _, a := range n.Attribute {
		if a.Name == "axis" {
			return (a.I + 3) % 3
		}
	}
	return 0
}

// focus tells whether the graph begins by taking every second pixel in four ways, as
// YOLOX and the first versions of YOLOv5 do.
func (g *graph) focus(input string) bool {
	first, slices := g.readers[input], 0
	for range len(g.producer) { // a damaged graph may have cycles
		if len(first) != 1 || first[0].OpType != "Cast" || len(first[0].Output) == 0 {
			break
		}
		first = g.readers[first[0].Output[0]]
	}
	for _, n := range first {
		if n.OpType == "Slice" {
			slices++
		}
	}
	return slices == len(first) && (slices == 2 || slices == 4)
}
