package lower

import "github.com/robust-transfer/rtx/finetune/graph"

// maxPool lets a MaxPool and its gradient share one node that also returns the
// indices of the largest values.
func maxPool(s *lowering, i int) bool {
	n := s.p.Nodes[i]
	switch o := n.Op.(type) {
	case graph.MaxPool:
		for _, k := range s.readers[n.In[0]] {
			g := s.p.Nodes[k]
			if g.Op == graph.MaxPoolGradient(o) && g.In[0] == n.In[0] {
				s.emitted[i], s.indices[k] = o.EmitIndices(s.Emitter, s.operands(i))
				return true
			}
		}
	case graph.MaxPoolGradient:
		indices, ok := s.indices[i]
		if ok {
			s.emitted[i] = o.Scatter(s.Emitter, s.operands(i), indices)
		}
		return ok
	}
	return false
}
