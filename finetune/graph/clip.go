package graph

import (
	"math"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Clip limits values to [Low, High]; an infinite limit is no limit.
type Clip struct{ Low, High float64 }

// Infer keeps the shape.
func (Clip) Infer(in []Shape) (Shape, error) { return sameShapes(in, 1) }

// Run32 is the float32 kernel.
func (o Clip) Run32(c Call[float32]) { clip(o, c) }

// Run64 is the float64 kernel.
func (o Clip) Run64(c Call[float64]) { clip(o, c) }

func clip[T Float](o Clip, c Call[T]) {
	low, high := T(o.Low), T(o.High)
	for i, x := range c.In[0] {
		c.Dst[i] = min(max(x, low), high)
	}
}

// Wrt reports that the input has a derivative.
func (Clip) Wrt(n int) []bool { return every(n) }

// Diff passes dy on where the output lies strictly between the limits, as
// PyTorch's hardtanh does.
func (o Clip) Diff(b *Builder, _ []Value, out, dy Value) []Value {
	return []Value{b.Apply(ClipGradient(o), out, dy)}
}

// Emit writes Clip, leaving out infinite limits.
func (o Clip) Emit(e *Emitter, s Operands) string {
	in := []string{s.In[0], "", ""}
	if !math.IsInf(o.Low, -1) {
		in[1] = e.Number(o.Low)
	}
	if !math.IsInf(o.High, 1) {
		in[2] = e.Number(o.High)
	}
	return e.Node("Clip", in)
}

// ClipGradient is dy where Low < y < High, else 0; its inputs are y and dy.
type ClipGradient Clip

// Infer expects equal shapes.
func (ClipGradient) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 is the float32 kernel.
func (o ClipGradient) Run32(c Call[float32]) { clipGradient(o, c) }

// Run64 is the float64 kernel.
func (o ClipGradient) Run64(c Call[float64]) { clipGradient(o, c) }

func clipGradient[T Float](o ClipGradient, c Call[T]) {
	low, high := T(o.Low), T(o.High)
	for i, y := range c.In[0] {
		c.Dst[i] = 0
		if y > low && y < high {
			c.Dst[i] = c.In[1][i]
		}
	}
}

// Emit writes comparisons and a Where.
func (o ClipGradient) Emit(e *Emitter, s Operands) string {
	inside := ""
	for _, limit := range []struct {
		op    string
		value float64
	}{{"Greater", o.Low}, {"Less", o.High}} {
		if math.IsInf(limit.value, 0) {
			continue
		}
		ok := e.Node(limit.op, []string{s.In[0], e.Number(limit.value)})
		if inside != "" {
			ok = e.Node("And", []string{inside, ok})
		}
		inside = ok
	}
	if inside == "" {
		return s.In[1]
	}
	return e.Node("Where", []string{inside, s.In[1], e.Number(0)})
}

// readClip reads a Clip, whose limits are attributes before opset 11 and inputs
// since.
func readClip(r *reader, n *pb.NodeProto) Value {
	limit := func(i int, name string, value float64) float64 {
		if !has(n, i) {
			return r.float(n, name, value)
		}
		_, v := r.floats(n.Input[i])
		if len(v) != 1 {
			r.fail("%d limits, expected one", len(v))
		}
		return float64(v[0])
	}
	o := Clip{limit(1, "min", math.Inf(-1)), limit(2, "max", math.Inf(1))}
	return r.Apply(o, r.in(n, 0))
}
