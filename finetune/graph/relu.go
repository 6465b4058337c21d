package graph

import "github.com/robust-transfer/rtx/onnx"

// Relu is max(x, 0).
type Relu struct{}

// Infer keeps the shape.
func (Relu) Infer(in []Shape) (Shape, error) { return sameShapes(in, 1) }

// Run32 is the float32 kernel.
func (Relu) Run32(c Call[float32]) { relu(c) }

// Run64 is the float64 kernel.
func (Relu) Run64(c Call[float64]) { relu(c) }

func relu[T Float](c Call[T]) {
	for i, x := range c.In[0] {
		c.Dst[i] = max(x, 0)
	}
}

// Wrt reports that the input has a derivative.
func (Relu) Wrt(n int) []bool { return every(n) }

// Diff passes dy on where the output is positive, so that the input need not be
// kept.
func (Relu) Diff(b *Builder, _ []Value, out, dy Value) []Value {
	return []Value{b.Apply(ReluGradient{}, out, dy)}
}

// Emit writes Relu.
func (Relu) Emit(e *Emitter, s Operands) string { return e.Node("Relu", s.In) }

// ReluGradient is dy where y > 0, else 0; its inputs are y and dy.
type ReluGradient struct{}

// Infer expects equal shapes.
func (ReluGradient) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the float32 kernel.
func (ReluGradient) Run32(c Call[float32]) { reluGradient(c) }

// Run64 is the float64 kernel.
func (ReluGradient) Run64(c Call[float64]) { reluGradient(c) }

func reluGradient[T Float](c Call[T]) {
	for i, y := range c.In[0] {
		c.Dst[i] = 0
		if y > 0 {
			c.Dst[i] = c.In[1][i]
		}
	}
}

// Emit multiplies by a mask: a HardSigmoid so steep that it is a step function,
// one node, which is faster than a comparison and a cast.
func (ReluGradient) Emit(e *Emitter, s Operands) string {
	return e.Mul(s.In[1], e.Node("HardSigmoid", s.In[:1], onnx.Float("alpha", 3e38), onnx.Float("beta", 0)))
}
