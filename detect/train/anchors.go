package train

import (
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// Anchors are those of an input of the network, level by level. The index of an anchor
// is the offset of its level plus its index in the level's Grid, whose order is
// [A,H,W].
type Anchors struct {
	Grids   []detect.Grid // of each level
	Offsets []int         // [levels+1]; level l has the anchors Offsets[l] to Offsets[l+1]-1
}

// NewAnchors returns the anchors of an input of the size canvas, padding included. maps
// are the sizes of the levels' feature maps.
func NewAnchors(d *onnx.Detect, canvas detect.Size, maps []detect.Size) *Anchors {
	a := &Anchors{Offsets: []int{0}}
	for l, size := range maps {
		g := detect.NewGrid(d, l, size, canvas)
		a.Grids = append(a.Grids, g)
		a.Offsets = append(a.Offsets, a.Offsets[l]+g.Len())
	}
	return a
}

// Len is the number of anchors.
func (a *Anchors) Len() int { return a.Offsets[len(a.Grids)] }

// Level is the level of an anchor, and its index there.
func (a *Anchors) Level(index int) (level, at int) {
	for index >= a.Offsets[level+1] {
		level++
	}
	return level, index - a.Offsets[level]
}

// Box is the anchor of an index.
func (a *Anchors) Box(index int) box.Box {
	level, at := a.Level(index)
	return a.Grids[level].Anchor(at)
}

// Outputs are what the network computed of an image of a batch, for detect.Propose.
// logits are those of each level, [N,A,H,W], or of a one-stage detector [N,A*K,H,W];
// deltas are [N,A*4,H,W].
func (a *Anchors) Outputs(logits, deltas [][]float32, image int) []detect.LevelOutput {
	out := make([]detect.LevelOutput, len(a.Grids))
	for l, g := range a.Grids {
		images := len(deltas[l]) / (4 * g.Len())
		one := len(logits[l]) / images
		out[l] = detect.LevelOutput{Grid: g, Logits: logits[l][image*one:][:one], Deltas: deltas[l][image*4*g.Len():][:4*g.Len()]}
	}
	return out
}
