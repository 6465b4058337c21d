package finetune

import "github.com/robust-transfer/rtx/finetune/graph"

// Memory estimates the bytes of tensors that a step holds at its peak: each from
// when it is computed until it was last read, next values until the end, and
// all state, inputs and constants throughout. Executors that compute in place
// need less; work space of kernels comes on top.
func Memory(p *graph.Program) int64 {
	left := p.Readers() // never 0 for outputs and updates before the end
	live := int64(0)
	bytes := func(i int) int64 { return 4 * int64(p.Nodes[i].Shape.Size()) }
	for i, n := range p.Nodes {
		if n.Op == nil {
			live += bytes(i)
		}
	}
	peak := live
	for i, n := range p.Nodes {
		if n.Op == nil {
			continue
		}
		live += bytes(i)
		peak = max(peak, live)
		for _, k := range n.In {
			if left[k]--; left[k] == 0 && p.Nodes[k].Op != nil {
				live -= bytes(k)
			}
		}
	}
	return peak
}
