package detect

import (
	"slices"

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
func (o LevelOutput) deltas(index int) [4]float32 {
	n := o.Grid.Map.H * o.Grid.Map.W
	at := index/n*4*n + index%n
	return [4]float32{o.Deltas[at], o.Deltas[at+n], o.Deltas[at+2*n], o.Deltas[at+3*n]}
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
	coder := box.Coder{Weights: p.Coder, Clamp: d.Clamp}
	var of []Proposal
	var c candidates
	for l, level := range levels {
		for _, i := range box.TopK(level.Logits, p.PreNMS) {
			b := coder.Decode(level.deltas(i), level.Grid.Anchor(i)).Clip(float32(size.W), float32(size.H))
			if hasSides(b, p.MinSide) {
				c.add(b, level.Logits[i], l)
				of = append(of, Proposal{b, level.Logits[i], l, i})
			}
		}
	}
	var out []Proposal
	for _, i := range c.best(p.NMS, p.PostNMS) {
		out = append(out, of[i])
	}
	return out
}

// hasSides tells whether the sides of a box are at least least.
func hasSides(b box.Box, least float64) bool {
	return min(b.Width(), b.Height()) >= float32(least)
}

// candidates are boxes of which to choose. Those of different groups, which are levels
// or classes, do not suppress each other.
type candidates struct {
	boxes  []box.Box
	scores []float32
	groups []int
}

func (c *candidates) add(b box.Box, score float32, group int) {
	c.boxes, c.scores, c.groups = append(c.boxes, b), append(c.scores, score), append(c.groups, group)
}

// best are the n best of those that non-maximum suppression leaves. Of equal scores
// those of the lower group come first, as in the deployed graph, which compares with
// the threshold in float32.
func (c *candidates) best(threshold float64, n int) []int {
	order := make([]int, len(c.boxes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int { return c.groups[i] - c.groups[k] })
	var sorted candidates
	for _, i := range order {
		sorted.add(c.boxes[i], c.scores[i], c.groups[i])
	}
	kept := box.NMSByClass(sorted.boxes, sorted.scores, sorted.groups, float64(float32(threshold)))
	kept = kept[:min(len(kept), n)]
	for i, k := range kept {
		kept[i] = order[k]
	}
	return kept
}
