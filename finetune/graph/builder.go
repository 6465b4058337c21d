package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// Value is a tensor of a graph under construction.
type Value struct{ node *G.Node }

// Shape of the value.
func (v Value) Shape() Shape { return Shape(v.node.Shape()) }

// one tells whether the value is the constant 1 that gorgonia starts from as
// the gradient of the loss by itself.
func (v Value) one() bool {
	if v.node.Op() != nil && v.node.Op().Arity() > 0 || v.node.Value() == nil {
		return false
	}
	x, ok := v.node.Value().Data().(float32)
	return ok && x == 1
}

// builder puts a graph together. What does not fit panics with a failure, which
// Network.Program turns into an error.
type builder struct {
	g       *G.ExprGraph
	salt    uint64 // of the nodes' hashes
	leaves  map[string]leaf
	names   map[*G.Node]string // of inner values, for messages and rules
	at      string             // the ONNX node that is being read
	count   int                // of ids
	applied int                // ops
}

// leaf is a value that is not computed.
type leaf struct {
	Value
	role Role
	data []float32 // of a constant
}

type failure struct{ error }

func (b *builder) fail(format string, a ...any) {
	err := fmt.Errorf(format, a...)
	if b.at != "" {
		err = fmt.Errorf("%s: %w", b.at, err)
	}
	panic(failure{fmt.Errorf("graph: %w", err)})
}

// apply adds an op.
func (b *builder) apply(op Op, in ...Value) Value {
	nodes := make([]*G.Node, len(in))
	shapes := make([]Shape, len(in))
	for i, v := range in {
		nodes[i], shapes[i] = v.node, v.Shape()
	}
	out, err := op.Infer(shapes)
	if err != nil {
		b.fail("%T: %w", op, err)
	}
	b.count++
	b.applied++
	v := &Vertex{Op: op, id: b.salt<<32 | uint64(b.count), in: shapes, out: out, b: b}
	n, err := G.ApplyOp(v, nodes...)
	if err != nil {
		b.fail("%T: %w", op, err)
	}
	return Value{n}
}

// leaf adds an input, a state tensor or a constant. Names are unique: gorgonia
// would silently merge two of one name.
func (b *builder) leaf(name string, shape Shape, role Role, data []float32) Value {
	if l, ok := b.leaves[name]; ok {
		if l.role != role || !l.Shape().Equal(shape) {
			b.fail("two values are called %q", name)
		}
		return l.Value
	}
	if data != nil && len(data) != shape.Size() {
		b.fail("constant %q has %d values, expected %v", name, len(data), shape)
	}
	n := G.NewTensor(b.g, G.Float32, len(shape), G.WithShape(shape...), G.WithName(name))
	b.leaves[name] = leaf{Value{n}, role, data}
	return Value{n}
}

// constant adds a constant under a name of its own.
func (b *builder) constant(shape Shape, data ...float32) Value {
	b.count++
	return b.leaf(fmt.Sprintf("constant/%d", b.count), shape, Constant, data)
}
