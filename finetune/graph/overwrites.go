package graph

import "slices"

// Overwrites tells whether executors can write an update to the memory of its variable:
// nothing that reads the variable depends on the update, and the update's own node reads
// it at most element by element.
func Overwrites(p *Program, u Update) bool {
	depends := make([]bool, len(p.Nodes)) // on the update
	depends[u.Node] = true
	for i, n := range p.Nodes {
		depends[i] = depends[i] || slices.ContainsFunc(n.In, func(k int) bool { return depends[k] })
		reads := slices.ContainsFunc(n.In, func(k int) bool {
			return p.Nodes[k].Op == nil && p.Nodes[k].Role == State && p.Nodes[k].Variable() == u.Variable
		})
		if reads && depends[i] && (i != u.Node || !elementwise(n.Op)) {
			return false
		}
	}
	return true
}

// elementwise tells whether an optimizer's operation reads an element for the last time
// when it writes its next value.
func elementwise(op Op) bool {
	switch op.(type) {
	case Axpy, Axpby, AxpbySquare, Lerp, SGDStep, AdamStep:
		return true
	}
	return false
}
