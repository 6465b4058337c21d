package graph

// Updates is the program of an optimizer alone: the parameter "w", and its
// gradient "g" as an input.
func Updates(o Optimizer, s Shape, r Rule) *Program {
	b := newBuilder(0)
	w := Param{Name: "w", Shape: s}
	return b.program(nil, o.Update(b, w, r, b.Variable(Variable{Name: "w"}, s), b.Input("g", s)))
}
