package finetune

import "github.com/robust-transfer/rtx/finetune/graph"

// Memory estimates the bytes of tensors that a step holds at its peak: each from
// when it is computed until it was last read, and throughout all state, its next
// values, which have buffers of their own, inputs and constants. Executors that
// compute in place need less; work space of kernels comes on top.
func Memory(p *graph.Program) int64 {
	left := p.Readers() // never 0 for outputs and updates before the end
	live := int64(0)
	bytes := func(i int) int64 { return 4 * int64(p.Nodes[i].Shape.Size()) }
	next := map[int]bool{}
	for _, u := range p.Updates {
		next[u.Node] = true
	}
	for i, n := range p.Nodes {
		if n.Op == nil || next[i] {
			live += bytes(i)
		}
	}
	peak := live
	for i, n := range p.Nodes {
		if n.Op == nil {
			continue
		}
		if !next[i] {
			live += bytes(i)
		}
		peak = max(peak, live)
		for _, k := range n.In {
			if left[k]--; left[k] == 0 && p.Nodes[k].Op != nil && !next[k] {
				live -= bytes(k)
			}
		}
	}
	return peak
}

// kept is the bytes of what a program keeps between steps, whatever its batch
// size: state and its next values.
func kept(p *graph.Program) (n int64) {
	for _, i := range p.Leaves(graph.State) {
		n += 4 * int64(p.Nodes[i].Shape.Size())
	}
	for _, u := range p.Updates {
		n += 4 * int64(p.Nodes[u.Node].Shape.Size())
	}
	return n
}
