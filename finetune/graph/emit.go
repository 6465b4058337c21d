package graph

import (
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Emitter collects the ONNX nodes of a Program: standard domain, opset 17,
// float32. Equal constants are stored once.
type Emitter struct {
	Nodes        []*pb.NodeProto
	Initializers []*pb.TensorProto
	constants    map[string]string
	count        int
}

// NewEmitter returns an empty Emitter.
func NewEmitter() *Emitter { return &Emitter{constants: map[string]string{}} }

// Node adds a node of one output and returns the output's name.
func (e *Emitter) Node(op string, in []string, attributes ...*pb.AttributeProto) string {
	return e.NodeN(op, 1, in, attributes...)[0]
}

// NodeN adds a node of n outputs.
func (e *Emitter) NodeN(op string, n int, in []string, attributes ...*pb.AttributeProto) []string {
	out := make([]string, n)
	for i := range out {
		e.count++
		out[i] = fmt.Sprintf("v%d", e.count)
	}
	node := onnx.NewNode(op, out[0], in, attributes...)
	node.Output = out
	e.Nodes = append(e.Nodes, node)
	return out
}

// Ints adds an int64 constant [n].
func (e *Emitter) Ints(v ...int) string {
	wide := make([]int64, len(v))
	for i, x := range v {
		wide[i] = int64(x)
	}
	return e.shared(fmt.Sprint("i", wide), func(name string) *pb.TensorProto { return onnx.NewInts(name, wide...) })
}

// Floats adds a float32 constant of a shape; the empty shape is a scalar.
func (e *Emitter) Floats(shape Shape, v ...float32) string {
	key := fmt.Sprint("f", shape)
	dims, wide := make([]int64, len(shape)), make([]float64, len(v))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	for i, x := range v {
		key += fmt.Sprintf(" %x", math.Float32bits(x))
		wide[i] = float64(x)
	}
	return e.shared(key, func(name string) *pb.TensorProto { return onnx.NewFloats(name, dims, wide...) })
}

// Number adds a float32 scalar.
func (e *Emitter) Number(v float64) string { return e.Floats(nil, float32(v)) }

func (e *Emitter) shared(key string, make func(name string) *pb.TensorProto) string {
	name, ok := e.constants[key]
	if !ok {
		name = fmt.Sprintf("c%d", len(e.constants))
		e.constants[key] = name
		e.Initializers = append(e.Initializers, make(name))
	}
	return name
}

// Reshape gives a value another shape of the same size.
func (e *Emitter) Reshape(v string, shape ...int) string {
	return e.Node("Reshape", []string{v, e.Ints(shape...)})
}

// Transpose permutes dimensions.
func (e *Emitter) Transpose(v string, perm ...int) string {
	return e.Node("Transpose", []string{v}, intsAttribute("perm", perm...))
}

// Sum sums a value over axes, which are dropped.
func (e *Emitter) Sum(v string, axes ...int) string {
	return e.Node("ReduceSum", []string{v, e.Ints(axes...)}, onnx.Int("keepdims", 0))
}

// Slice takes elements from starts to ends in steps along axes.
func (e *Emitter) Slice(v string, axes, starts, ends, steps []int) string {
	return e.Node("Slice", []string{v, e.Ints(starts...), e.Ints(ends...), e.Ints(axes...), e.Ints(steps...)})
}

// broadcastChannels reshapes a vector [C] so that it broadcasts to [N,C,H,W].
func (e *Emitter) broadcastChannels(v string, channels int) string {
	return e.Reshape(v, 1, channels, 1, 1)
}

// Mul, Add and Sub are elementwise, with broadcasting.
func (e *Emitter) Mul(a, b string) string { return e.Node("Mul", []string{a, b}) }

// Add is a + b.
func (e *Emitter) Add(a, b string) string { return e.Node("Add", []string{a, b}) }

// Sub is a - b.
func (e *Emitter) Sub(a, b string) string { return e.Node("Sub", []string{a, b}) }

// Program emits the nodes of a program in order and returns the ONNX name of each
// node's value. name returns the names of inputs and variables. override, if not
// nil, is asked about every other node first: where it returns true, the node has
// already been emitted under the name that it returns.
func (e *Emitter) Program(p *Program, name func(Node) string, override func(i int, names []string) (string, bool)) []string {
	names := make([]string, len(p.Nodes))
	for i, n := range p.Nodes {
		switch {
		case n.Op == nil && n.Role == Constant:
			names[i] = e.Floats(n.Shape, n.Data...)
			continue
		case n.Op == nil:
			names[i] = name(n)
			continue
		}
		if override != nil {
			if v, done := override(i, names); done {
				names[i] = v
				continue
			}
		}
		s := Operands{Shape: n.Shape}
		for _, k := range n.In {
			s.In, s.Shapes = append(s.In, names[k]), append(s.Shapes, p.Nodes[k].Shape)
		}
		names[i] = n.Op.Emit(e, s)
	}
	return names
}

// Model returns a model of the emitted nodes with these inputs and outputs.
func (e *Emitter) Model(inputs, outputs []*pb.ValueInfoProto) *onnx.Model {
	return onnx.New(&pb.ModelProto{
		IrVersion: onnx.IRVersion, ProducerName: "rtx", OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}},
		Graph: &pb.GraphProto{Name: "step", Node: slices.Clone(e.Nodes), Initializer: slices.Clone(e.Initializers), Input: inputs, Output: outputs},
	})
}

// ValueInfo describes a float32 value of a fixed shape.
func ValueInfo(name string, s Shape) *pb.ValueInfoProto {
	dims := make([]*pb.TensorShapeProto_Dimension, len(s))
	for i, d := range s {
		dims[i] = onnx.Sized(d)
	}
	return onnx.NewValue(name, pb.TensorProto_FLOAT, dims...)
}
