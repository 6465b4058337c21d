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

// Vertex is an Op as gorgonia sees it: one Vertex for each node of a graph, so
// that the buffer of its output can stay with it. gorgonia merges nodes whose
// hashes are equal, without looking further; id makes each one's its own.
type Vertex struct {
	Op    Op
	id    uint64
	in    []Shape
	out   Shape
	b     *Builder // of the graph, for derivatives; nil in an executor's
	value G.Value  // of the last Do
}

// NewVertex makes the vertex of an op for an executor's graph. No two of a graph
// may have one id.
func NewVertex(op Op, id int, in []Shape, out Shape) *Vertex {
	return &Vertex{Op: op, id: uint64(id), in: in, out: out}
}

var _ G.SDOp = (*Vertex)(nil)

// Arity is the number of inputs.
func (v *Vertex) Arity() int { return len(v.in) }

// Type must be a new value on each call: gorgonia takes it into its pool.
func (v *Vertex) Type() hm.Type {
	types := make([]hm.Type, 0, len(v.in)+1)
	for _, s := range append(v.in[:len(v.in):len(v.in)], v.out) {
		var t hm.Type = hm.TypeVariable('a')
		if len(s) > 0 {
			t = G.TensorType{Dims: len(s), Of: t}
		}
		types = append(types, t)
	}
	return hm.NewFnType(types...)
}

// InferShape is the output's shape, which is known from the start.
func (v *Vertex) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape(v.out).Clone(), nil
}

// Do runs the kernel.
func (v *Vertex) Do(in ...G.Value) (G.Value, error) {
	if len(in) != len(v.in) {
		return nil, fmt.Errorf("graph: %s: %d inputs, expected %d", v, len(in), len(v.in))
	}
	var err error
	switch in[0].Dtype() {
	case tensor.Float32:
		err = do(v, in, v.Op.Run32, func(x float32) G.Value { return G.NewF32(x) })
	case tensor.Float64:
		err = do(v, in, v.Op.Run64, func(x float64) G.Value { return G.NewF64(x) })
	default:
		err = fmt.Errorf("graph: %s: inputs of type %v", v, in[0].Dtype())
	}
	return v.value, err
}

func do[T Float](v *Vertex, in []G.Value, run func(Call[T]), number func(T) G.Value) error {
	c := Call[T]{Shape: v.out, Shapes: v.in}
	for i, x := range in {
		switch data := x.Data().(type) {
		case []T:
			c.In = append(c.In, data)
		case T:
			c.In = append(c.In, []T{data})
		default:
			return fmt.Errorf("graph: %s: input %d holds %T", v, i, data)
		}
		if len(c.In[i]) != v.in[i].Size() {
			return fmt.Errorf("graph: %s: input %d has %d elements, expected %v", v, i, len(c.In[i]), v.in[i])
		}
	}
	if len(v.out) == 0 {
		c.Dst = make([]T, 1)
		run(c)
		v.value = number(c.Dst[0])
		return nil
	}
	if v.value == nil {
		v.value = tensor.New(tensor.WithShape(v.out...), tensor.WithBacking(make([]T, v.out.Size())))
	}
	c.Dst = v.value.Data().([]T)
	run(c)
	return nil
}

// Value is what the last Do computed: a tensor that the next one overwrites, or
// a number.
func (v *Vertex) Value() G.Value { return v.value }

// ReturnsPtr, CallsExtern and OverwritesInput describe Do to gorgonia: its result
// is memory of its own, and inputs are left alone.
func (v *Vertex) ReturnsPtr() bool { return true }

// CallsExtern is no: kernels are Go.
func (v *Vertex) CallsExtern() bool { return false }

// OverwritesInput is none.
func (v *Vertex) OverwritesInput() int { return -1 }

// WriteHash writes what makes the node one of its own.
func (v *Vertex) WriteHash(h hash.Hash) {
	var id [8]byte
	binary.LittleEndian.PutUint64(id[:], v.id)
	h.Write(id[:])
	fmt.Fprintf(h, "%T%+v%v%v", v.Op, v.Op, v.in, v.out)
}

// Hashcode is the hash of WriteHash.
func (v *Vertex) Hashcode() uint32 {
	h := fnv.New32a()
	v.WriteHash(h)
	return h.Sum32()
}

func (v *Vertex) String() string { return fmt.Sprintf("%T%+v#%d", v.Op, v.Op, v.id) }

// DiffWRT says which inputs have a derivative. Every Vertex answers, also those
// that have none: gorgonia panics at an op that cannot be asked.
func (v *Vertex) DiffWRT(n int) []bool {
	if d, ok := v.Op.(Differentiable); ok {
		return d.Wrt(n)
	}
	return make([]bool, n)
}

// SymDiff is the derivative, in nodes of the same graph.
func (v *Vertex) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	d, ok := v.Op.(Differentiable)
	if !ok || v.b == nil {
		return nil, fmt.Errorf("graph: %s has no derivative", v)
	}
	values := make([]Value, len(in))
	for i, n := range in {
		values[i] = Value{n}
	}
	diffs := d.Diff(v.b, values, Value{out}, Value{grad})
	if len(diffs) != len(in) {
		return nil, fmt.Errorf("graph: %s: %d gradients for %d inputs", v, len(diffs), len(in))
	}
	nodes := make(G.Nodes, len(in))
	for i, x := range diffs {
		if nodes[i] = x.node; x.node != nil && !x.Shape().Equal(values[i].Shape()) {
			return nil, fmt.Errorf("graph: %s: gradient by input %d has shape %v, expected %v", v, i, x.Shape(), values[i].Shape())
		}
	}
	return nodes, nil
}
