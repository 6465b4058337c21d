package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"
)

// Value is a tensor of a graph under construction. The zero Value is no tensor.
type Value struct{ node *G.Node }

// Shape of the value.
func (v Value) Shape() Shape { return Shape(v.node.Shape()) }

// None reports whether v is the zero Value.
func (v Value) None() bool { return v.node == nil }

// One reports whether the value is the constant 1, as the gradient of the loss with
// respect to itself is. Derivatives can then leave out the multiplication by it.
func (v Value) One() bool {
	x, ok := v.number()
	return ok && x == 1
}

// number returns the value of a scalar constant that gorgonia created.
func (v Value) number() (float32, bool) {
	if v.node.Op() != nil && v.node.Op().Arity() > 0 || v.node.Value() == nil {
		return 0, false
	}
	x, ok := v.node.Value().Data().(float32)
	return x, ok
}

// Builder builds a graph: the nodes of a model, an objective, gradients and updates.
// Values of different builders must not be mixed.
//
// Errors (shapes that an op does not accept, a name that is taken) end the building:
// the method that finds one does not return, and Network.Program returns the error.
type Builder struct {
	g       *G.ExprGraph
	salt    uint64 // part of every node's hash
	leaves  map[leafID]leaf
	names   map[*G.Node]string // ONNX names of inner values
	values  map[string]Value   // of the model, by ONNX name
	results []Value            // the values that the network was read for
	added   []Added
	carried []Next                          // by Carry
	find    func(name string) (Param, bool) // a parameter of the model
	slot    func(Param) Slot                // what an added parameter is read from: itself or its average
	taken   func(string) bool               // whether the model has a parameter of this name
	at      string                          // description of the ONNX node being read
	count   int                             // ids given to ops and constants
	applied int                             // ops in the graph
}

func newBuilder(salt uint64) *Builder {
	return &Builder{g: G.NewGraph(), salt: salt, leaves: map[leafID]leaf{}, names: map[*G.Node]string{}, values: map[string]Value{},
		find: func(string) (Param, bool) { return Param{}, false },
		slot: func(Param) Slot { return Parameter }, taken: func(string) bool { return false }}
}

// leafID identifies a leaf: an input and a variable may have the same name.
type leafID struct {
	Variable
	role Role
}

// leaf is an input, a variable or a constant.
type leaf struct {
	Value
	data []float32 // values of a constant
}

type failure struct{ error }

// Fail ends the building with an error, which also names the model's node that is
// being read, if any.
func (b *Builder) Fail(err error) {
	if b.at != "" {
		err = fmt.Errorf("%s: %w", b.at, err)
	}
	panic(failure{fmt.Errorf("graph: %w", err)})
}

func (b *Builder) fail(format string, a ...any) { b.Fail(fmt.Errorf(format, a...)) }

// Apply adds an op and returns its output.
func (b *Builder) Apply(op Op, in ...Value) Value {
	nodes := make([]*G.Node, len(in))
	shapes := make([]Shape, len(in))
	for i, v := range in {
		if v.None() {
			b.fail("%T: input %d is no value", op, i)
		}
		nodes[i], shapes[i] = v.node, v.Shape()
	}
	out, err := op.Infer(shapes)
	if err != nil {
		b.fail("%T: %w", op, err)
	}
	b.count++
	b.applied++
	v := &GorgoniaOp{Op: op, id: b.salt<<32 | uint64(b.count), in: shapes, out: out, b: b}
	n, err := G.ApplyOp(v, nodes...)
	if err != nil {
		b.fail("%T: %w", op, err)
	}
	return Value{n}
}

// Input declares an input of the program: a tensor that every run is given. Calls
// with the same name return the same input.
func (b *Builder) Input(name string, s Shape) Value {
	return b.leaf(leafID{Variable{Name: name}, Input}, s, nil)
}

// Variable declares a tensor that executors keep between runs.
func (b *Builder) Variable(v Variable, s Shape) Value { return b.leaf(leafID{v, State}, s, nil) }

// Constant adds a tensor of fixed values, row-major.
func (b *Builder) Constant(s Shape, data ...float32) Value {
	b.count++
	return b.constant(fmt.Sprintf("constant/%d", b.count), s, data)
}

func (b *Builder) constant(name string, s Shape, data []float32) Value {
	if len(data) != s.Size() {
		b.fail("constant %q has %d values, expected %v", name, len(data), s)
	}
	return b.leaf(leafID{Variable{Name: name}, Constant}, s, data)
}

// Added is a parameter that an objective adds to those of the model, with its
// initial values.
type Added struct {
	Param
	Start []float32
}

// Param adds a parameter that the model does not have, such as the weight of a new
// layer, with its initial values. p.Head should be true if it belongs to the head.
// Config.Train decides whether it is trained, as for the model's parameters; with
// Config.Averaged the moving average of a trained one is read instead. Calls with
// the same name return the same parameter. A name that the model has is an error.
func (b *Builder) Param(p Param, start []float32) Value {
	if len(start) != p.Shape.Size() {
		b.fail("parameter %q has %d first values, expected %v", p.Name, len(start), p.Shape)
	}
	if b.taken(p.Name) {
		b.fail("parameter %q is to be added, and the model has one of this name", p.Name)
	}
	id := leafID{Variable{p.Name, b.slot(p)}, State}
	if _, again := b.leaves[id]; !again {
		b.added = append(b.added, Added{p, start})
	}
	return b.leaf(id, p.Shape, nil)
}

// Parameter returns a parameter of the model, or its moving average with
// Config.Averaged if it is trained. The values that the network was read for must
// depend on it, but not what is left of them behind Config.Given.
func (b *Builder) Parameter(name string) Value {
	p, ok := b.find(name)
	if !ok {
		b.fail("the network has no parameter %q", name)
	}
	return b.Variable(Variable{name, b.slot(p)}, p.Shape)
}

// Carry keeps a value in the executor's memory as the variable {name, Carried}, which
// other programs read (Variable, or a Given without an input). It is valid until the
// program runs again. Programs for inputs of other sizes need other names.
func (b *Builder) Carry(name string, v Value) {
	b.carried = append(b.carried, Next{Variable{name, Carried}, v})
}

// Keep makes a value the next one of a variable, of which training keeps a state of its
// own: one of another slot than Carried, whose first value is 0.
func (b *Builder) Keep(v Variable, next Value) { b.carried = append(b.carried, Next{v, next}) }

// Value returns a value of the model by its name in the ONNX graph. The values that
// the network was read for must depend on it, or be it.
func (b *Builder) Value(name string) Value {
	v, ok := b.values[name]
	if !ok {
		b.fail("the model's part that is read has no value %q", name)
	}
	return v
}

// Results returns the values that the network was read for, in order: the logits
// unless others were named.
func (b *Builder) Results() []Value { return b.results }

// leaf adds an input, a variable or a constant. Role, slot and name make up its
// name in gorgonia, which would silently merge leaves of the same name.
func (b *Builder) leaf(id leafID, shape Shape, data []float32) Value {
	if l, ok := b.leaves[id]; ok {
		if !l.Shape().Equal(shape) {
			b.fail("two values are called %q, of shapes %v and %v", id.Name, l.Shape(), shape)
		}
		return l.Value
	}
	n := G.NewTensor(b.g, G.Float32, len(shape), G.WithShape(shape...), G.WithName(fmt.Sprintf("%d %d %s", id.role, id.Slot, id.Name)))
	b.leaves[id] = leaf{Value{n}, data}
	return Value{n}
}
