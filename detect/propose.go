package detect

import (
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// LevelOutput is what a network computed of one image for the anchors of a level.
type LevelOutput struct {
	Grid   Grid
	Logits []float32 // [A,H,W]; of a one-stage detector of K classes [A*K,H,W], with classes inside
	Deltas []float32 // [A*4,H,W], with dx, dy, dw, dh inside
}

// deltas are those of an anchor.
func (o LevelOutput) deltas(index int) []float32 {
	n := o.Grid.Map.H * o.Grid.Map.W
	at, out := index/n*4*n+index%n, make([]float32, 4)
	for i := range out {
		out[i] = o.Deltas[at+i*n]
	}
	return out
}

// Proposal is a box that the first stage of a detector chose. Level and Index say which
// anchor it was made of (Grid.Anchor), whatever its rank.
type Proposal struct {
	Box          box.Box
	Logit        float32
	Level, Index int
}

// Propose chooses the proposals of an image, with falling logits. size is that of the
// network's input without its padding.
func Propose(d *onnx.Detect, levels []LevelOutput, size Size) []Proposal {
	p := d.Proposals
	var of []Proposal
	var candidates []candidate
	for l, level := range levels {
		for _, i := range best(level.Logits, p.PreNMS) {
			b := clip(decode(level.Grid.Anchor(i), level.deltas(i), p.Coder, d.Clamp), size)
			if hasSides(b, p.MinSide) {
				candidates = append(candidates, candidate{b, level.Logits[i], l, len(of)})
				of = append(of, Proposal{b, level.Logits[i], l, i})
			}
		}
	}
	kept := suppress(candidates, p.NMS, p.PostNMS)
	out := make([]Proposal, 0, min(len(kept), p.PostNMS))
	for _, c := range kept[:min(len(kept), p.PostNMS)] {
		out = append(out, of[c.index])
	}
	return out
}
