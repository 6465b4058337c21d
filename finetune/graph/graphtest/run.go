package graphtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Run evaluates a program in float64, node by node, and returns its outputs by name
// and its updates by the name of their variable, or only those that wanted names.
// It panics if an input is missing or has the wrong size.
func Run(p *graph.Program, in map[string][]float64, wanted ...string) map[string][]float64 {
	values := make([][]float64, len(p.Nodes))
	var value func(i int) []float64
	value = func(i int) []float64 {
		if values[i] != nil {
			return values[i]
		}
		n := p.Nodes[i]
		v := make([]float64, n.Shape.Size())
		switch {
		case n.Op != nil:
			c := graph.Call[float64]{Dst: v, Shape: n.Shape}
			for j := range v {
				v[j] = math.NaN() // kernels must overwrite all elements
			}
			for _, k := range n.In {
				c.In, c.Shapes = append(c.In, value(k)), append(c.Shapes, p.Nodes[k].Shape)
			}
			n.Op.Run64(c)
		case n.Role == graph.Constant:
			v = widen(n.Data)
		default:
			name := n.Variable().String()
			given, ok := in[name]
			if !ok || len(given) != len(v) {
				panic(fmt.Sprintf("graphtest: %q has %d values, expected %v", name, len(given), n.Shape))
			}
			v = given
		}
		values[i] = v
		return v
	}
	out := map[string][]float64{}
	wants := slices.Clone(p.Outputs)
	for _, u := range p.Updates {
		wants = append(wants, graph.Output{Name: u.Variable.String(), Node: u.Node})
	}
	for _, o := range wants {
		if len(wanted) == 0 || slices.Contains(wanted, o.Name) {
			out[o.Name] = value(o.Node)
		}
	}
	return out
}

// Distance is max|a-b| / max|b|.
func Distance(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	diff, size := 0.0, 0.0
	for i := range a {
		d := math.Abs(a[i] - b[i])
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		diff, size = max(diff, d), max(size, math.Abs(b[i]))
	}
	if diff == 0 {
		return 0
	}
	return diff / size
}
