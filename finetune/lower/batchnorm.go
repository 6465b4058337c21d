package lower

import (
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// batchNorm fuses BatchMean, BatchVariance and BatchNorm into one
// BatchNormalization in training mode, which onnxruntime has only on the CPU.
//
// With momentum 0, the node returns the statistics of the batch. onnxruntime writes
// them into the buffers of the running statistics that the node is given, even if
// others read those. So each node is given dummy statistics of its own: multiples
// of the scale, all by different numbers, since equal ones would be merged.
func batchNorm(s *lowering, i int) bool {
	if _, ok := s.p.Nodes[i].Op.(graph.BatchMean); !ok {
		return false
	}
	x := s.p.Nodes[i].In[0]
	variance, ok := findReader[graph.BatchVariance](s, i, x, i)
	if !ok {
		return false
	}
	y, ok := findReader[graph.BatchNorm](s, i, x, i, variance)
	if !ok {
		return false
	}
	n := s.p.Nodes[y]
	scale, shift := s.value(n.In[3]), s.value(n.In[4])
	if scale == "" || shift == "" {
		return false
	}
	dummy := func() string {
		s.dummies++
		return s.Mul(scale, s.Number(1/float64(s.dummies)))
	}
	out := s.NodeN("BatchNormalization", 3, []string{s.value(x), scale, shift, dummy(), dummy()},
		onnx.Int("training_mode", 1), onnx.Float("momentum", 0), onnx.Float("epsilon", float32(n.Op.(graph.BatchNorm).Epsilon)))
	s.emitted[y], s.emitted[i], s.emitted[variance] = out[0], out[1], out[2]
	return true
}
