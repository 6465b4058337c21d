package lower

import (
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// rule looks at the i-th node of a program and may emit it, and others with it:
// what it emits goes into the site's values. It tells whether it did.
type rule func(s *site, i int) bool

// site is a program that is being emitted.
type site struct {
	*graph.Emitter
	p       *graph.Program
	leaf    func(graph.Node) string
	names   []string       // of the nodes before the one at hand
	claimed map[int]string // values of nodes that a rule emitted before their turn
	readers [][]int        // of each node, the nodes that read it
	kept    []bool         // of each node, whether it is an output or update
	indices map[int]string // of largest values, by the node of the gradient
	spares  int
}

// emit emits a program and returns the name of each node's value.
func emit(e *graph.Emitter, p *graph.Program, leaf func(graph.Node) string, c Config, cpu bool) []string {
	s := &site{Emitter: e, p: p, leaf: leaf, claimed: map[int]string{}, indices: map[int]string{}, readers: make([][]int, len(p.Nodes)), kept: make([]bool, len(p.Nodes))}
	for i, n := range p.Nodes {
		for _, k := range n.In {
			s.readers[k] = append(s.readers[k], i)
		}
	}
	for _, o := range p.Outputs {
		s.kept[o.Node] = true
	}
	for _, u := range p.Updates {
		s.kept[u.Node] = true
	}
	rules := chosen(c, cpu)
	return e.Program(p, leaf, func(i int, names []string) (string, bool) {
		s.names = names
		if v, ok := s.claimed[i]; ok {
			return v, true
		}
		for _, r := range rules {
			if r(s, i) {
				return s.claimed[i], true
			}
		}
		return "", false
	})
}

// chosen are the rules of a device.
func chosen(c Config, cpu bool) (rules []rule) {
	if c.Portable {
		return nil
	}
	rules = append(rules, maxPool)
	if cpu {
		rules = append(rules, batchNorm)
	}
	return rules
}

// at is where a node would be emitted by itself.
func (s *site) at(i int) graph.Operands {
	out := graph.Operands{Shape: s.p.Nodes[i].Shape}
	for _, k := range s.p.Nodes[i].In {
		out.In, out.Shapes = append(out.In, s.value(k)), append(out.Shapes, s.p.Nodes[k].Shape)
	}
	return out
}

// reader finds the node of an op that reads i and whose first inputs are in.
func reader[T graph.Op](s *site, i int, in ...int) (int, bool) {
	for _, k := range s.readers[i] {
		n := s.p.Nodes[k]
		if _, ok := n.Op.(T); ok && len(n.In) >= len(in) && slices.Equal(n.In[:len(in)], in) {
			return k, true
		}
	}
	return 0, false
}

// value is the name of a node's value, "" where it is not computed yet.
func (s *site) value(i int) string {
	n := s.p.Nodes[i]
	switch v, ok := s.claimed[i]; {
	case ok:
		return v
	case s.names[i] != "" || n.Op != nil:
		return s.names[i]
	case n.Role == graph.Constant:
		return s.Floats(n.Shape, n.Data...)
	}
	return s.leaf(n)
}
