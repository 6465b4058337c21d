package lower

import (
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// batchNorm makes the two statistics of a batch and what they normalise one
// BatchNormalization in training mode, which only the CPU has.
//
// Its momentum is 0, so that the statistics it returns are those of the batch.
// onnxruntime writes them over the running ones that it is given, whoever else
// reads these. So each node is given values of its own, which count for nothing:
// multiples of the scale, each by another number, as equal ones would be merged.
func batchNorm(s *site, i int) bool {
	if _, ok := s.p.Nodes[i].Op.(graph.BatchMean); !ok {
		return false
	}
	x := s.p.Nodes[i].In[0]
	variance, ok := reader[graph.BatchVariance](s, i, x, i)
	if !ok {
		return false
	}
	y, ok := reader[graph.BatchNorm](s, i, x, i, variance)
	if !ok {
		return false
	}
	n := s.p.Nodes[y]
	scale, shift := s.value(n.In[3]), s.value(n.In[4])
	if scale == "" || shift == "" {
		return false
	}
	spare := func() string {
		s.spares++
		return s.Mul(scale, s.Number(1/float64(s.spares)))
	}
	out := s.NodeN("BatchNormalization", 3, []string{s.value(x), scale, shift, spare(), spare()},
		onnx.Int("training_mode", 1), onnx.Float("momentum", 0), onnx.Float("epsilon", float32(n.Op.(graph.BatchNorm).Epsilon)))
	s.claimed[y], s.claimed[i], s.claimed[variance] = out[0], out[1], out[2]
	return true
}
