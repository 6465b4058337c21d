package graph

import "slices"

// Without returns the program without some of its outputs, and without what only they
// need.
func (p *Program) Without(outputs ...string) *Program {
	needed := make([]bool, len(p.Nodes))
	c := newCopy(p)
	for _, o := range p.Outputs {
		if !slices.Contains(outputs, o.Name) {
			needed[o.Node] = true
		}
	}
	for _, u := range p.Updates {
		needed[u.Node] = true
	}
	for i := len(p.Nodes) - 1; i >= 0; i-- {
		for _, k := range p.Nodes[i].In {
			needed[k] = needed[k] || needed[i]
		}
	}
	for i := range p.Nodes {
		if needed[i] {
			c.take(p, i, func(k int) int { return c.at[k] })
		}
	}
	for _, o := range p.Outputs {
		if !slices.Contains(outputs, o.Name) {
			c.output(o.Name, c.at[o.Node])
		}
	}
	for _, u := range p.Updates {
		c.p.Updates = append(c.p.Updates, Update{u.Variable, c.at[u.Node]})
	}
	return c.p
}
