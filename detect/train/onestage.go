package train

import (
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// OneStageTargets is what a one-stage detector is to learn of a batch. torchvision
// multiplies its losses with Weights, of each image; Detectron2 divides them by a running
// mean of the number of anchors of objects in a batch, which the program of a step keeps.
type OneStageTargets struct {
	Labels               [][]float32 // of each level, [N,A,H,W]: the class plus 1, 0 for background, -1 for what is left out
	Deltas, DeltaWeights [][]float32 // of each level, [N,A*4,H,W]; weights are 1 for anchors of objects, else 0

	Objects []int // number of anchors of objects, of each image
}

// NewOneStageTargets matches the anchors of a batch.
func NewOneStageTargets(d *onnx.Detect, c Conventions, a *Anchors, targets []*Target) *OneStageTargets {
	n := len(targets)
	t := &OneStageTargets{Labels: a.zeros(n), Deltas: a.zeros(4 * n), DeltaWeights: a.zeros(4 * n), Objects: make([]int, n)}
	coder := box.Coder{Weights: d.Coder}
	parallel(n, func(i int) {
		for index, object := range c.Anchors.Match(a, targets[i].Boxes) {
			if object == Background {
				continue
			}
			level, at := a.Level(index)
			at += i * a.Grids[level].Len()
			if object == Ignored {
				t.Labels[level][at] = -1
				continue
			}
			t.Labels[level][at] = float32(targets[i].Labels[object] + 1)
			t.Objects[i]++
			a.setDeltas(t.Deltas, t.DeltaWeights, i, index, coder.Encode(targets[i].Boxes[object], a.Box(index)), 1)
		}
	})
	return t
}

// Weights returns what torchvision multiplies the losses of each image with: one over the
// number of its anchors of objects, or over 1 where it has none, and over the number of
// images.
func (t *OneStageTargets) Weights() []float32 {
	out := make([]float32, len(t.Objects))
	for i, k := range t.Objects {
		out[i] = 1 / float32(max(1, k)) / float32(len(t.Objects))
	}
	return out
}
