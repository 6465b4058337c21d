package graph

import G "gorgonia.org/gorgonia"

// Updates is the program of an optimizer alone: the state "w", and its gradient
// "g" as an input.
func Updates(o Optimizer, s Shape, r Rule) *Program {
	b := &builder{g: G.NewGraph(), leaves: map[string]leaf{}, names: map[*G.Node]string{}}
	return b.program(nil, o.update(b, Param{Name: "w", Shape: s}, r, b.leaf("w", s, State, nil), b.leaf("g", s, Input, nil)))
}
