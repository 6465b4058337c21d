package graph

import (
	"fmt"
	"slices"
)

// Transposed returns a program that differs in the layout of an output: dimension i of
// it is perm[i] of what p returns. A gradient of feature maps [N,C,H,W] with the perm
// 0, 2, 3, 1 has its channels last, as package roialign expects it.
func (p *Program) Transposed(output string, perm ...int) (*Program, error) {
	at := slices.IndexFunc(p.Outputs, func(o Output) bool { return o.Name == output })
	if at < 0 {
		return nil, fmt.Errorf("graph: the program has no output %q", output)
	}
	node, op := p.Outputs[at].Node, Transpose{slices.Clone(perm)}
	shape, err := op.Infer([]Shape{p.Nodes[node].Shape})
	if err != nil {
		return nil, fmt.Errorf("graph: output %q transposed: %w", output, err)
	}
	out := *p
	out.Nodes = append(slices.Clone(p.Nodes), Node{Op: op, In: []int{node}, Shape: shape})
	out.Outputs = slices.Clone(p.Outputs)
	out.Outputs[at].Node = len(p.Nodes)
	return &out, nil
}
