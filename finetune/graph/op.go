package graph

import (
	"fmt"
	"slices"
)

// Shape lists the sizes of a tensor's dimensions; tensors are row-major. The shape
// of a scalar is empty.
type Shape []int

// Size is the number of elements.
func (s Shape) Size() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Equal reports whether two shapes are the same.
func (s Shape) Equal(o Shape) bool { return slices.Equal(s, o) }

// Float is the element type of a kernel.
type Float interface{ float32 | float64 }

// Call holds the arguments of a kernel. It overwrites all of Dst, whose old values
// are undefined, and does not modify the inputs, In.
type Call[T Float] struct {
	Dst    []T
	Shape  Shape // of Dst
	In     [][]T
	Shapes []Shape // of In
}

// Op is an operation with one output. Its exported fields are its attributes: plain
// values that fully describe it among ops of its type.
type Op interface {
	// Infer returns the output's shape, or an error that says what is wrong with
	// the inputs.
	Infer(in []Shape) (Shape, error)

	// Run32 and Run64 are the kernels.
	Run32(Call[float32])
	Run64(Call[float64])

	// Emit writes the op as ONNX nodes and returns the name of the output.
	Emit(*Emitter, Operands) string
}

// Operands are the names and shapes of the inputs of an op that is emitted, and the
// shape of its output.
type Operands struct {
	In     []string
	Shapes []Shape
	Shape  Shape // of the output
}

// Differentiable is an op with a derivative.
type Differentiable interface {
	Op

	// Wrt reports for each of n inputs whether the op has a derivative with respect
	// to it.
	Wrt(n int) []bool

	// Diff returns the gradient of the loss with respect to each input, given the
	// gradient dy with respect to the output; the zero Value where Wrt is false.
	Diff(b *Builder, in []Value, out, dy Value) []Value
}

// every is the Wrt of ops with a derivative with respect to all n inputs.
func every(n int) []bool { return slices.Repeat([]bool{true}, n) }

// first is the Wrt of ops with a derivative only with respect to the first input.
func first(n int) []bool { return append([]bool{true}, make([]bool, n-1)...) }

// sameShapes is the shape rule of elementwise ops: n inputs of one shape.
func sameShapes(in []Shape, n int) (Shape, error) {
	if len(in) != n {
		return nil, fmt.Errorf("%d inputs, expected %d", len(in), n)
	}
	for _, s := range in[1:] {
		if !s.Equal(in[0]) {
			return nil, fmt.Errorf("inputs of shapes %v and %v, expected equal ones", in[0], s)
		}
	}
	return slices.Clone(in[0]), nil
}
