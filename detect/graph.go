package detect

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// own begins the names of the nodes, values and constants that deploying adds.
const own = "post/"

// graph is a part of a graph under construction. A method that adds a node returns the
// name of its output. Sizes are int64 [1].
type graph struct {
	nodes     []*pb.NodeProto
	constants []*pb.TensorProto
	known     map[string]string // constants by their values
	taken     map[string]int    // names, and how many have them
	scope     string            // of names
}

func newGraph() *graph {
	return &graph{known: map[string]string{}, taken: map[string]int{}}
}

// name makes a name that is not taken.
func (g *graph) name(base string) string {
	name := own + g.scope + strings.ToLower(base)
	g.taken[name]++
	if n := g.taken[name]; n > 1 {
		name = fmt.Sprintf("%s_%d", name, n)
	}
	return name
}

// node adds a node of one output.
func (g *graph) node(op string, inputs []string, attributes ...*pb.AttributeProto) string {
	name := g.name(op)
	g.nodes = append(g.nodes, onnx.NewNode(op, name, inputs, attributes...))
	return name
}

// op adds a node without attributes.
func (g *graph) op(op string, inputs ...string) string { return g.node(op, inputs) }

// named adds a node whose output has a name of its own.
func (g *graph) named(output, op string, inputs []string, attributes ...*pb.AttributeProto) {
	n := onnx.NewNode(op, output, inputs, attributes...)
	n.Name = own + output
	g.nodes = append(g.nodes, n)
}

// called gives the output of the last node a name that others know.
func (g *graph) called(name string) string {
	g.nodes[len(g.nodes)-1].Output[0] = own + name
	return own + name
}

func (g *graph) constant(t *pb.TensorProto) string {
	key := fmt.Sprint(t.DataType, t.Dims, t.RawData)
	if g.known[key] == "" {
		t.Name = fmt.Sprintf("%sconstant_%d", own, len(g.constants))
		g.constants = append(g.constants, t)
		g.known[key] = t.Name
	}
	return g.known[key]
}

// ints is a constant int64 [len(v)], floats one of float32.
func (g *graph) ints(v ...int64) string { return g.constant(onnx.NewInts("", v...)) }

func (g *graph) floats(v ...float64) string {
	return g.constant(onnx.NewFloats("", []int64{int64(len(v))}, v...))
}

// table is a constant float32 [len(v)/columns,columns].
func (g *graph) table(columns int, v ...float64) string {
	return g.constant(onnx.NewFloats("", []int64{int64(len(v) / columns), int64(columns)}, v...))
}

func (g *graph) cast(x string, to pb.TensorProto_DataType) string {
	return g.node("Cast", []string{x}, onnx.Int("to", int64(to)))
}

// size is a dimension of a value.
func (g *graph) size(x string, axis int) string {
	return g.node("Shape", []string{x}, onnx.Int("start", int64(axis)), onnx.Int("end", int64(axis)+1))
}

func (g *graph) gather(x, index string, axis int) string {
	return g.node("Gather", []string{x, index}, onnx.Int("axis", int64(axis)))
}

// column is one of the columns of a value [n,columns], as [n].
func (g *graph) column(x string, i int) string {
	return g.flat(g.slice(x, 1, i, i+1))
}

// slice takes the elements from, from+1, ..., to-1 of an axis.
func (g *graph) slice(x string, axis, from, to int) string {
	return g.op("Slice", x, g.ints(int64(from)), g.ints(int64(to)), g.ints(int64(axis)))
}

func (g *graph) concat(axis int, in ...string) string {
	if len(in) == 1 {
		return in[0]
	}
	return g.node("Concat", in, onnx.Int("axis", int64(axis)))
}

func (g *graph) reshape(x string, dims ...int64) string { return g.op("Reshape", x, g.ints(dims...)) }

func (g *graph) flat(x string) string { return g.reshape(x, -1) }

// unsqueeze adds an axis.
func (g *graph) unsqueeze(x string, axis int64) string { return g.op("Unsqueeze", x, g.ints(axis)) }

// where are the indices [n] of the true elements of a value [N].
func (g *graph) where(condition string) string { return g.flat(g.op("NonZero", condition)) }

// best are the highest values of x [n], at most k of them, with falling values, and
// their indices.
func (g *graph) best(x string, k int) (values, indices string) {
	return g.sorted(x, g.op("Min", g.ints(int64(k)), g.size(x, 0)), true)
}

func (g *graph) sorted(x, k string, falling bool) (values, indices string) {
	largest := int64(0)
	if falling {
		largest = 1
	}
	values = g.node("TopK", []string{x, k}, onnx.Int("axis", 0), onnx.Int("largest", largest))
	indices = values + "_indices"
	last := g.nodes[len(g.nodes)-1]
	last.Output = append(last.Output, indices)
	return values, indices
}
