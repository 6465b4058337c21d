package graph

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// GorgoniaOp adapts an Op to gorgonia's Op interface. Every node of a graph has
// its own GorgoniaOp, which holds the node's output buffer. gorgonia merges nodes
// whose hashes are equal without comparing anything else; id keeps hashes apart.
type GorgoniaOp struct {
	Op    Op
	id    uint64
	in    []Shape
	out   Shape
	b     *Builder // builds derivatives; nil in an executor's graph
	value G.Value  // result of the last Do
}

// NewGorgoniaOp wraps an op for an executor's graph. Each op of a graph needs its
// own id.
func NewGorgoniaOp(op Op, id int, in []Shape, out Shape) *GorgoniaOp {
	return &GorgoniaOp{Op: op, id: uint64(id), in: in, out: out}
}

var _ G.SDOp = (*GorgoniaOp)(nil)

// Arity is the number of inputs.
func (o *GorgoniaOp) Arity() int { return len(o.in) }

// Type returns a new value on each call, because gorgonia recycles it.
func (o *GorgoniaOp) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.in)+1)
	for _, s := range append(o.in[:len(o.in):len(o.in)], o.out) {
		var t hm.Type = hm.TypeVariable('a')
		if len(s) > 0 {
			t = G.TensorType{Dims: len(s), Of: t}
		}
		types = append(types, t)
	}
	return hm.NewFnType(types...)
}

// InferShape returns the output's shape, which is known in advance.
func (o *GorgoniaOp) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape(o.out).Clone(), nil
}

// Do runs the kernel.
func (o *GorgoniaOp) Do(in ...G.Value) (G.Value, error) {
	if len(in) != len(o.in) {
		return nil, fmt.Errorf("graph: %s: %d inputs, expected %d", o, len(in), len(o.in))
	}
	var err error
	switch in[0].Dtype() {
	case tensor.Float32:
		err = do(o, in, o.Op.Run32, func(x float32) G.Value { return G.NewF32(x) })
	case tensor.Float64:
		err = do(o, in, o.Op.Run64, func(x float64) G.Value { return G.NewF64(x) })
	default:
		err = fmt.Errorf("graph: %s: inputs of type %v", o, in[0].Dtype())
	}
	return o.value, err
}

func do[T Float](o *GorgoniaOp, in []G.Value, run func(Call[T]), number func(T) G.Value) error {
	c := Call[T]{Shape: o.out, Shapes: o.in}
	for i, x := range in {
		switch data := x.Data().(type) {
		case []T:
			c.In = append(c.In, data)
		case T:
			c.In = append(c.In, []T{data})
		default:
			return fmt.Errorf("graph: %s: input %d holds %T", o, i, data)
		}
		if len(c.In[i]) != o.in[i].Size() {
			return fmt.Errorf("graph: %s: input %d has %d elements, expected %v", o, i, len(c.In[i]), o.in[i])
		}
	}
	if len(o.out) == 0 {
		c.Dst = make([]T, 1)
		run(c)
		o.value = number(c.Dst[0])
		return nil
	}
	if o.value == nil {
		o.value = tensor.New(tensor.WithShape(o.out...), tensor.WithBacking(make([]T, o.out.Size())))
	}
	c.Dst = o.value.Data().([]T)
	run(c)
	return nil
}

// Value is the result of the last Do: a tensor, which the next Do overwrites, or
// a scalar.
func (o *GorgoniaOp) Value() G.Value { return o.value }

// ReturnsPtr, CallsExtern and OverwritesInput describe Do to gorgonia: it returns
// its own memory and does not modify its inputs.
func (o *GorgoniaOp) ReturnsPtr() bool { return true }

// CallsExtern is false: kernels are Go code.
func (o *GorgoniaOp) CallsExtern() bool { return false }

// OverwritesInput is -1: no input is overwritten.
func (o *GorgoniaOp) OverwritesInput() int { return -1 }

// WriteHash writes what identifies the node.
func (o *GorgoniaOp) WriteHash(h hash.Hash) {
	var id [8]byte
	binary.LittleEndian.PutUint64(id[:], o.id)
	h.Write(id[:])
	fmt.Fprintf(h, "%T%+v%v%v", o.Op, o.Op, o.in, o.out)
}

// Hashcode is the hash of WriteHash.
func (o *GorgoniaOp) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *GorgoniaOp) String() string { return fmt.Sprintf("%T%+v#%d", o.Op, o.Op, o.id) }

// DiffWRT says which inputs have a derivative. Ops without any implement it too,
// because gorgonia panics at an op that lacks the method.
func (o *GorgoniaOp) DiffWRT(n int) []bool {
	if d, ok := o.Op.(Differentiable); ok {
		return d.Wrt(n)
	}
	return make([]bool, n)
}

// SymDiff returns the derivatives as nodes of the same graph.
func (o *GorgoniaOp) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	d, ok := o.Op.(Differentiable)
	if !ok || o.b == nil {
		return nil, fmt.Errorf("graph: %s has no derivative", o)
	}
	values := make([]Value, len(in))
	for i, n := range in {
		values[i] = Value{n}
	}
	diffs := d.Diff(o.b, values, Value{out}, Value{grad})
	if len(diffs) != len(in) {
		return nil, fmt.Errorf("graph: %s: %d gradients for %d inputs", o, len(diffs), len(in))
	}
	nodes := make(G.Nodes, len(in))
	for i, x := range diffs {
		if nodes[i] = x.node; x.node != nil && !x.Shape().Equal(values[i].Shape()) {
			return nil, fmt.Errorf("graph: %s: gradient by input %d has shape %v, expected %v", o, i, x.Shape(), values[i].Shape())
		}
	}
	return nodes, nil
}
