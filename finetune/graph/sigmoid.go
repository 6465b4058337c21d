package graph

import "github.com/robust-transfer/rtx/onnx/pb"

// Sigmoid is 1 / (1 + exp(-x)).
type Sigmoid struct{}

// Infer keeps the shape.
func (Sigmoid) Infer(in []Shape) (Shape, error) { return sameShapes(in, 1) }

// Run32 is the float32 kernel.
func (Sigmoid) Run32(c Call[float32]) { sigmoids(c) }

// Run64 is the float64 kernel.
func (Sigmoid) Run64(c Call[float64]) { sigmoids(c) }

func sigmoids[T Float](c Call[T]) {
	for i, x := range c.In[0] {
		c.Dst[i] = T(sigmoid(float64(x)))
	}
}

// Wrt reports that the input has a derivative.
func (Sigmoid) Wrt(n int) []bool { return every(n) }

// Diff returns dy·y·(1-y), so that the input need not be kept.
func (Sigmoid) Diff(b *Builder, _ []Value, out, dy Value) []Value {
	return []Value{b.Apply(SigmoidGradient{}, out, dy)}
}

// Emit writes Sigmoid.
func (Sigmoid) Emit(e *Emitter, s Operands) string { return e.Node("Sigmoid", s.In) }

// SigmoidGradient is dy·y·(1-y); its inputs are y and dy.
type SigmoidGradient struct{}

// Infer expects equal shapes.
func (SigmoidGradient) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the float32 kernel.
func (SigmoidGradient) Run32(c Call[float32]) { sigmoidGradient(c) }

// Run64 is the float64 kernel.
func (SigmoidGradient) Run64(c Call[float64]) { sigmoidGradient(c) }

func sigmoidGradient[T Float](c Call[T]) {
	for i, y := range c.In[0] {
		c.Dst[i] = c.In[1][i] * y * (1 - y)
	}
}

// Emit writes a difference and products.
func (SigmoidGradient) Emit(e *Emitter, s Operands) string {
	return e.Mul(s.In[1], e.Mul(s.In[0], e.Sub(e.Number(1), s.In[0])))
}

func readSigmoid(r *reader, n *pb.NodeProto) Value { return r.Apply(Sigmoid{}, r.in(n, 0)) }
