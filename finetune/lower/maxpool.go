package lower

import "github.com/robust-transfer/rtx/finetune/graph"

// maxPool lets a pooling and its gradient share one MaxPool that returns the
// places of the largest values.
func maxPool(s *site, i int) bool {
	n := s.p.Nodes[i]
	switch o := n.Op.(type) {
	case graph.MaxPool:
		for _, k := range s.readers[n.In[0]] {
			g := s.p.Nodes[k]
			if g.Op == graph.MaxPoolGradient(o) && g.In[0] == n.In[0] {
				s.claimed[i], s.indices[k] = o.EmitIndices(s.Emitter, s.at(i))
				return true
			}
		}
	case graph.MaxPoolGradient:
		indices, ok := s.indices[i]
		if ok {
			s.claimed[i] = o.Scatter(s.Emitter, s.at(i), indices)
		}
		return ok
	}
	return false
}
