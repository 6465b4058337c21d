package finetune

import "github.com/robust-transfer/rtx/finetune/graph"

// Resident is a Step or a Scorer that has the executor forget programs (Pass.Forget), so
// that it does not hold all of them at once.
type Resident interface {
	Resident() []*graph.Program // those that are held at once, at most
}

// resident are the programs of a Step or a Scorer that take memory at once.
func resident(s interface{ Programs() []*graph.Program }) []*graph.Program {
	if r, ok := s.(Resident); ok {
		return r.Resident()
	}
	return s.Programs()
}

// Memory estimates the peak memory for tensors, in bytes, of programs that run one
// after the other and share their variables. A tensor of the running program takes
// memory from when it is computed until it is last read; inputs and constants take
// it throughout. Executors that compute in place need less; the work space of
// kernels is not included.
func Memory(programs ...*graph.Program) int64 {
	peak := int64(0)
	for _, p := range programs {
		peak = max(peak, transient(p))
	}
	return stateMemory(programs...) + peak
}

// transient is the peak memory of a program without its variables and their
// updates.
func transient(p *graph.Program) int64 {
	left := p.Readers() // outputs and updates count as readers, so those are never freed
	next := map[int]bool{}
	for _, u := range p.Updates {
		next[u.Node] = true
	}
	live := int64(0)
	for i, n := range p.Nodes {
		if n.Op == nil && n.Role != graph.State && !next[i] {
			live += tensorBytes(p, i)
		}
	}
	peak := live
	for i, n := range p.Nodes {
		if n.Op == nil {
			continue
		}
		if !next[i] {
			live += tensorBytes(p, i)
		}
		peak = max(peak, live)
		for _, k := range n.In {
			if left[k]--; left[k] == 0 && p.Nodes[k].Op != nil && !next[k] {
				live -= tensorBytes(p, k)
			}
		}
	}
	return peak
}

// stateMemory is the memory of variables, which does not depend on the batch size,
// with a second buffer for each one that a program reads and cannot update in place.
func stateMemory(programs ...*graph.Program) (n int64) {
	variables, second := map[graph.Variable]int64{}, map[graph.Variable]bool{}
	for _, p := range programs {
		read := map[graph.Variable]bool{}
		for _, i := range p.Leaves(graph.State) {
			v := p.Nodes[i].Variable()
			read[v], variables[v] = true, tensorBytes(p, i)
		}
		for _, u := range p.Updates {
			variables[u.Variable] = tensorBytes(p, u.Node)
			second[u.Variable] = second[u.Variable] || read[u.Variable] && !graph.Overwrites(p, u)
		}
	}
	for v, size := range variables {
		if n += size; second[v] {
			n += size
		}
	}
	return n
}

func tensorBytes(p *graph.Program, node int) int64 { return 4 * int64(p.Nodes[node].Shape.Size()) }
