package graph

import (
	"math"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Clip limits values to [Low, High]; an infinite limit is no limit. It has the
// gradient of PyTorch's clamp, which passes where the input equals a limit, or with
// Hard that of PyTorch's hardtanh and ReLU6, which is 0 there.
type Clip struct {
	Low, High float64
	Hard      bool
}

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

// Diff passes dy on between the limits. Those of Hard can be told from the output
// alone, so that the input need not be kept.
func (o Clip) Diff(b *Builder, in []Value, out, dy Value) []Value {
	if o.Hard {
		return []Value{b.Apply(ClipGradient{o.Low, o.High}, out, dy)}
	}
	return []Value{b.Apply(ClampGradient{}, in[0], out, dy)}
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

// ClampGradient is dy where the clip left x as it was, else 0; its inputs are x, y
// and dy.
type ClampGradient struct{}

// Infer expects equal shapes.
func (ClampGradient) Infer(in []Shape) (Shape, error) { return sameShapes(in, 3) }

// Run32 is the float32 kernel.
func (ClampGradient) Run32(c Call[float32]) { clampGradient(c) }

// Run64 is the float64 kernel.
func (ClampGradient) Run64(c Call[float64]) { clampGradient(c) }

func clampGradient[T Float](c Call[T]) {
	for i, x := range c.In[0] {
		c.Dst[i] = 0
		if x == c.In[1][i] {
			c.Dst[i] = c.In[2][i]
		}
	}
}

// Emit writes a comparison and a Where.
func (ClampGradient) Emit(e *Emitter, s Operands) string {
	return e.Node("Where", []string{e.Node("Equal", s.In[:2]), s.In[2], e.Number(0)})
}

// ClipGradient is dy where Low < y < High, else 0; its inputs are y and dy.
type ClipGradient struct{ Low, High float64 }

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
	x := r.in(n, 0)
	o := Clip{Low: limit(1, "min", math.Inf(-1)), High: limit(2, "max", math.Inf(1))}
	o.Hard = r.net.learned[n.Input[0]] && o.activation()
	return r.Apply(o, x)
}

// activation tells whether the limits are those of ReLU6 or, by default, of hardtanh.
// Exporters write these and clamp as the same operator, and only the limits and the
// place tell them apart: a Clip is read as an activation where it has such limits
// and follows a layer, and as a clamp everywhere else, in front of the first layer
// for instance, where it limits pixels.
func (o Clip) activation() bool {
	return o.Low == 0 && o.High == 6 || o.Low == -1 && o.High == 1
}

// learned are the values of nodes, in topological order, that depend on a layer.
func learned(nodes []*pb.NodeProto) map[string]bool {
	out := map[string]bool{}
	for _, n := range nodes {
		after := n.OpType != "Add" && layers[n.OpType]
		for _, in := range n.Input {
			after = after || out[in]
		}
		if after {
			for _, o := range n.Output {
				out[o] = true
			}
		}
	}
	return out
}
