package runtime

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Overwrites tells which outputs of a model may be written to the memory of an input.
type Overwrites struct {
	nodes    []*pb.NodeProto // in topological order
	producer map[string]int
	readers  map[string][]int
	outputs  map[string]bool
	nested   bool // some nodes have graphs of their own, which read values unseen
}

// NewOverwrites reads a model, whose nodes must not change afterwards.
func NewOverwrites(m *onnx.Model) *Overwrites {
	g := m.Proto.Graph
	o := &Overwrites{nodes: g.Node, producer: map[string]int{}, readers: map[string][]int{}, outputs: map[string]bool{}}
	for i, n := range g.Node {
		for _, v := range n.Output {
			o.producer[v] = i
		}
		for _, v := range n.Input {
			o.readers[v] = append(o.readers[v], i)
		}
		o.nested = o.nested || slices.ContainsFunc(n.Attribute, func(a *pb.AttributeProto) bool { return a.G != nil || len(a.Graphs) > 0 })
	}
	for _, v := range g.Output {
		o.outputs[v.Name] = true
	}
	return o
}

// views are operators whose outputs onnxruntime leaves in the memory of their first input.
var views = []string{"Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Dropout", "Cast", "Expand"}

// elementwise are operators that read an element of an input of the output's shape for the
// last time when they write that of the output: onnxruntime itself lets them write to the
// memory of such an input.
var elementwise = []string{"Add", "Sub", "Mul", "Div"}

// Before lists values that must be computed before an output may be written to the memory
// of an input of its shape, and that the model lets be computed later: none, if the output
// depends on all that reads the input. Where the output's own node reads the input, it
// must do so element by element. possible is false where it does not, or where what reads
// the input depends on the output.
func (o *Overwrites) Before(output, input string) (values []string, possible bool) {
	last, made := o.producer[output]
	readers, only := o.readersOf(input, last)
	if o.nested || !made || !only {
		return nil, false
	}
	if len(readers) == 0 {
		return nil, true
	}
	needed := o.reached(last, slices.Min(readers))
	for _, r := range readers {
		if needed[r] {
			continue
		}
		if o.reached(r, last)[last] {
			return nil, false
		}
		values = append(values, o.nodes[r].Output[0])
	}
	return values, true
}

// readersOf are the nodes but last that read a value or a view of it. only is false where
// last reads it in another way than element by element, or where a view is an output.
func (o *Overwrites) readersOf(value string, last int) (list []int, only bool) {
	for _, r := range o.readers[value] {
		n := o.nodes[r]
		switch {
		case r == last:
			if !slices.Contains(elementwise, n.OpType) {
				return nil, false
			}
		case slices.Contains(views, n.OpType) && n.Input[0] == value:
			if o.outputs[n.Output[0]] {
				return nil, false
			}
			for _, k := range o.readers[n.Output[0]] {
				if k == last {
					return nil, false
				}
			}
			more, ok := o.readersOf(n.Output[0], last)
			if !ok {
				return nil, false
			}
			list = append(append(list, r), more...)
		default:
			list = append(list, r)
		}
	}
	return list, true
}

// reached tells on which of the nodes from first on a node depends.
func (o *Overwrites) reached(node, first int) map[int]bool {
	seen, open := map[int]bool{}, []int{node}
	for len(open) > 0 {
		n := o.nodes[open[len(open)-1]]
		open = open[:len(open)-1]
		for _, v := range n.Input {
			if k, made := o.producer[v]; made && k >= first && !seen[k] {
				seen[k] = true
				open = append(open, k)
			}
		}
	}
	return seen
}
