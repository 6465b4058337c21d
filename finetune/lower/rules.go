package lower

import "github.com/robust-transfer/rtx/finetune/graph"

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
	count   int
}

// emit emits a program and returns the name of each node's value.
func emit(e *graph.Emitter, p *graph.Program, leaf func(graph.Node) string, c Config, cpu bool) []string {
	s := &site{Emitter: e, p: p, leaf: leaf, claimed: map[int]string{}, readers: make([][]int, len(p.Nodes)), kept: make([]bool, len(p.Nodes))}
	for i, n := range p.Nodes {
		for _, k := range n.In {
			s.readers[k] = append(s.readers[k], i)
		}
	}
	for _, list := range [][]graph.Output{p.Outputs, p.Updates} {
		for _, o := range list {
			s.kept[o.Node] = true
		}
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
	return rules
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
