package train

import (
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// AnchorTargets is what the first stage of a detector is to learn of a batch, with a
// weight for each number, which is 0 for what is not sampled. The losses are the sums of
// weighted losses: the weights hold what torchvision or Detectron2 divides by.
type AnchorTargets struct {
	Logits, LogitWeights [][]float32 // of each level, [N,A,H,W]; targets are 1 for objects, 0 for background
	Deltas, DeltaWeights [][]float32 // of each level, [N,A*4,H,W]

	Objects, Background int // number of anchors that were sampled
}

// NewAnchorTargets matches and samples the anchors of a batch. The keys' Row is that of
// each Target.
func NewAnchorTargets(d *onnx.Detect, c Conventions, a *Anchors, targets []*Target, k Keys) *AnchorTargets {
	n := len(targets)
	t := &AnchorTargets{Logits: a.zeros(n), LogitWeights: a.zeros(n), Deltas: a.zeros(4 * n), DeltaWeights: a.zeros(4 * n)}
	matched, objects, background := make([][]int32, n), make([][]int, n), make([][]int, n)
	parallel(n, func(i int) {
		matched[i] = c.Anchors.Match(a, targets[i].Boxes)
		objects[i], background[i] = SampleAnchors(matched[i], c, Keys{k.Seed, k.Step, targets[i].Row})
	})
	for i := range n {
		t.Objects, t.Background = t.Objects+len(objects[i]), t.Background+len(background[i])
	}
	of := t.Objects + t.Background
	if c.FixedNormalizer {
		of = c.AnchorSamples * n
	}
	weight, coder := 1/float32(of), box.Coder{Weights: d.Proposals.Coder}
	parallel(n, func(i int) {
		for _, index := range background[i] {
			level, at := a.Level(index)
			t.LogitWeights[level][i*a.Grids[level].Len()+at] = weight
		}
		for _, index := range objects[i] {
			level, at := a.Level(index)
			at += i * a.Grids[level].Len()
			t.Logits[level][at], t.LogitWeights[level][at] = 1, weight
			deltas := coder.Encode(targets[i].Boxes[matched[i][index]], a.Box(index))
			a.setDeltas(t.Deltas, t.DeltaWeights, i, index, deltas, weight)
		}
	})
	return t
}

// zeros are n numbers for each anchor, level by level.
func (a *Anchors) zeros(n int) [][]float32 {
	out := make([][]float32, len(a.Grids))
	for l, g := range a.Grids {
		out[l] = make([]float32, n*g.Len())
	}
	return out
}

// setDeltas sets the deltas of an anchor of an image, and their weights, in levels of
// [N,A*4,H,W].
func (a *Anchors) setDeltas(values, weights [][]float32, image, index int, deltas [4]float32, weight float32) {
	level, at := a.Level(index)
	g := a.Grids[level]
	plane := g.Map.H * g.Map.W
	at = image*4*g.Len() + at/plane*4*plane + at%plane
	for i, v := range deltas {
		values[level][at+i*plane], weights[level][at+i*plane] = v, weight
	}
}
