package graph

import (
	"fmt"
	"slices"
)

// Shape is the sizes of a tensor's dimensions, row-major. The shape of a single
// number is empty.
type Shape []int

// Size is the number of elements.
func (s Shape) Size() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Equal tells whether two shapes are the same.
func (s Shape) Equal(o Shape) bool { return slices.Equal(s, o) }

// Float is the element type of a kernel.
type Float interface{ float32 | float64 }

// Call is one evaluation of an op. In are the inputs, not to be modified; Dst
// is overwritten as a whole, whatever it held.
type Call[T Float] struct {
	Dst    []T
	Shape  Shape // of Dst
	In     [][]T
	Shapes []Shape // of In
}

// Op is an operation of one output. Its attributes are fields of exported
// plain values, which say all that distinguishes it from others of its type.
type Op interface {
	// Infer is the rule of the output's shape; the error says what does not fit.
	Infer(in []Shape) (Shape, error)

	// Run32 and Run64 are the kernel.
	Run32(Call[float32])
	Run64(Call[float64])

	// Emit writes the op as ONNX nodes and returns the name of the result.
	Emit(*Emitter, Site) string
}

// Site is where an op is emitted: the names and shapes of its inputs, and the
// shape of its output.
type Site struct {
	In     []string
	Shapes []Shape
	Shape  Shape
}

// Differentiable is an op that gradients go through.
type Differentiable interface {
	Op

	// Wrt tells for each of n inputs whether it has a derivative.
	Wrt(n int) []bool

	// Diff returns, for each input, the gradient of the loss by it, given dy, the
	// gradient by the output; the zero Value where Wrt says no.
	Diff(b *Builder, in []Value, out, dy Value) []Value
}

// every says that all n inputs have a derivative.
func every(n int) []bool { return slices.Repeat([]bool{true}, n) }

// first says that the first of n inputs alone has a derivative.
func first(n int) []bool { return append([]bool{true}, make([]bool, n-1)...) }

// sameShapes is the rule of elementwise ops: n inputs of one shape.
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
