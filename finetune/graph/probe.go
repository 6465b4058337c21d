package graph

import "slices"

// through is its first input. The second, an input of the same shape, has the same
// gradient: gorgonia only differentiates with respect to leaves. Programs have neither
// the op nor the second input.
type through struct{}

// Infer expects two inputs of one shape.
func (through) Infer(in []Shape) (Shape, error) { return sameShapes(in, 2) }

// Run32 copies the first input.
func (through) Run32(c Call[float32]) { copy(c.Dst, c.In[0]) }

// Run64 copies the first input.
func (through) Run64(c Call[float64]) { copy(c.Dst, c.In[0]) }

// Wrt reports that both inputs have a derivative.
func (through) Wrt(n int) []bool { return every(n) }

// Diff passes dy on.
func (through) Diff(_ *Builder, _ []Value, _, dy Value) []Value { return []Value{dy, dy} }

// Emit is the first input.
func (through) Emit(_ *Emitter, s Operands) string { return s.In[0] }

// probed prepares the value of a name for Config.ValueGradients, if it is one of them.
func (r *reader) probed(name string, v Value) Value {
	if !slices.Contains(r.config.ValueGradients, name) {
		return v
	}
	r.probes[name] = r.Input("gradient probe/"+name, v.Shape())
	return r.Apply(through{}, v, r.probes[name])
}
