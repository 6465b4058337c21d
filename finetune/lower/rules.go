package lower

import (
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// rule may emit the i-th node of a program, possibly together with others, whose
// values it puts into lowering.emitted. It reports whether it did.
type rule func(s *lowering, i int) bool

// lowering is the state of emitting a program.
type lowering struct {
	*graph.Emitter
	p       *graph.Program
	leaf    func(graph.Node) string
	names   []string       // values of the nodes before the current one
	emitted map[int]string // values of nodes that a rule has emitted
	readers [][]int        // for each node, the nodes that read it
	indices map[int]string // values of a MaxPool's indices, by the node of its gradient
	dummies int            // number of dummy statistics
}

// emit emits a program and returns the name of each node's value.
func emit(e *graph.Emitter, p *graph.Program, leaf func(graph.Node) string, c Config, cpu bool) []string {
	s := &lowering{Emitter: e, p: p, leaf: leaf, emitted: map[int]string{}, indices: map[int]string{}, readers: make([][]int, len(p.Nodes))}
	for i, n := range p.Nodes {
		for _, k := range n.In {
			s.readers[k] = append(s.readers[k], i)
		}
	}
	rules := rulesFor(c, cpu)
	return e.Program(p, leaf, func(i int, names []string) (string, bool) {
		s.names = names
		if v, ok := s.emitted[i]; ok {
			return v, true
		}
		for _, r := range rules {
			if r(s, i) {
				return s.emitted[i], true
			}
		}
		return "", false
	})
}

// rulesFor returns the rules for a device.
func rulesFor(c Config, cpu bool) (rules []rule) {
	if c.Portable {
		return nil
	}
	rules = append(rules, maxPool)
	if cpu {
		rules = append(rules, batchNorm)
	}
	return rules
}

// operands are those with which a node is emitted by itself.
func (s *lowering) operands(i int) graph.Operands {
	out := graph.Operands{Shape: s.p.Nodes[i].Shape}
	for _, k := range s.p.Nodes[i].In {
		out.In, out.Shapes = append(out.In, s.value(k)), append(out.Shapes, s.p.Nodes[k].Shape)
	}
	return out
}

// findReader finds the node of an op of type T that reads node i and whose first
// inputs are in.
func findReader[T graph.Op](s *lowering, i int, in ...int) (int, bool) {
	for _, k := range s.readers[i] {
		n := s.p.Nodes[k]
		if _, ok := n.Op.(T); ok && len(n.In) >= len(in) && slices.Equal(n.In[:len(in)], in) {
			return k, true
		}
	}
	return 0, false
}

// value is the name of a node's value, "" if it is not emitted yet.
func (s *lowering) value(i int) string {
	n := s.p.Nodes[i]
	switch v, ok := s.emitted[i]; {
	case ok:
		return v
	case s.names[i] != "" || n.Op != nil:
		return s.names[i]
	case n.Role == graph.Constant:
		return s.Floats(n.Shape, n.Data...)
	}
	return s.leaf(n)
}
