package train

import (
	"cmp"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// RoI is a region of interest: what the second stage of a detector learns of.
type RoI struct {
	Box    box.Box
	Image  int        // in the batch
	Level  int        // of the pyramid, whose features it is given
	Class  int        // 0 for background, else the index of the class plus 1; -1 for padding
	Object int        // that it belongs to; -1 if none
	Deltas [4]float32 // to be learned, if it belongs to an object

	// ID is the identity of a region in an image: the level and the index of the anchor
	// that it was made of, level<<32 + index, or 1<<63 + the number of the object that it
	// is the box of.
	ID uint64
}

// SampleRoIs chooses the regions of an image of which to learn, of the proposals and the
// boxes of the objects themselves: at most RoIPositives that belong to objects, and of
// the background as many as fill up RoISamples. Their order is that of their IDs; Image
// is 0.
func SampleRoIs(d *onnx.Detect, c Conventions, proposals []detect.Proposal, t *Target, k Keys) []RoI {
	var of []RoI
	var boxes []box.Box
	for _, p := range proposals {
		boxes = append(boxes, p.Box)
		of = append(of, RoI{Box: p.Box, Object: -1, ID: uint64(p.Level)<<32 + uint64(p.Index)})
	}
	for i, b := range t.Boxes {
		if !hasArea(b) {
			continue
		}
		boxes = append(boxes, b)
		of = append(of, RoI{Box: b, Object: -1, ID: 1<<63 + uint64(i)})
	}
	matched := c.RoIs.MatchBoxes(boxes, t.Boxes)
	objects, background := split(matched, c.RoISamples, c.RoIPositives, k.of(sampledRoIs), func(i int) uint64 { return of[i].ID })
	coder := box.Coder{Weights: d.Coder}
	var out []RoI
	for _, i := range objects {
		r, object := of[i], int(matched[i])
		r.Object, r.Class, r.Deltas = object, t.Labels[object]+1, coder.Encode(t.Boxes[object], r.Box)
		out = append(out, r)
	}
	for _, i := range background {
		out = append(out, of[i])
	}
	for i, r := range out {
		out[i].Level = detect.RoILevel(d, r.Box)
	}
	slices.SortFunc(out, func(a, b RoI) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
