package train

import (
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// OneStageTargets is what a one-stage detector is to learn of a batch. Its losses are
// divided by numbers of anchors of objects, as Weights says.
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

// Normalizer is what the losses of one-stage detectors are divided by.
type Normalizer struct {
	// Smooth is the running mean of the number of anchors of objects in a batch that
	// Detectron2 divides by; 0 before the first step. It is a part of a training's state.
	Smooth float64
}

// Weights returns what the losses of each image are multiplied with: in torchvision
// 1/(anchors of objects, or 1) and 1/images, in Detectron2 1/Smooth.
func (n *Normalizer) Weights(c Conventions, objects []int) []float32 {
	out, all := make([]float32, len(objects)), 0
	for i, k := range objects {
		out[i] = 1 / float32(max(1, k)) / float32(len(objects))
		all += k
	}
	if !c.FixedNormalizer {
		return out
	}
	if n.Smooth == 0 {
		n.Smooth = 100
	}
	n.Smooth = .9*n.Smooth + .1*float64(max(1, all))
	for i := range out {
		out[i] = float32(1 / n.Smooth)
	}
	return out
}
