package foreign

import (
	"cmp"
	"slices"

	"github.com/robust-transfer/rtx/detect/box"
)

// candidate is a box before suppression.
type candidate struct {
	box   box.Box // in pixels of the network's input
	score float32
	class int
	row   int // of the output
}

// most is the number of candidates, the best, that Ultralytics passes on to NMS.
const most = 30000

// suppress sorts candidates by falling scores and keeps the best: of two boxes of a
// class whose IoU is above a threshold the one with the higher score. As Ultralytics
// does it moves the boxes of class c by c*step pixels and then compares all of them:
// in float32 that rounds them to the precision of so large coordinates.
func suppress(all []candidate, threshold float64, step float32, keep int) []candidate {
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	all = all[:min(len(all), most)]
	moved, areas := make([]box.Box, len(all)), make([]float32, len(all))
	for i, c := range all {
		d := float32(c.class) * step
		moved[i] = box.Box{c.box[0] + d, c.box[1] + d, c.box[2] + d, c.box[3] + d}
		areas[i] = moved[i].Area()
	}
	gone := make([]bool, len(all))
	var kept []candidate
	for i, c := range all {
		if gone[i] {
			continue
		}
		if kept = append(kept, c); len(kept) == keep {
			break
		}
		for j := i + 1; j < len(all); j++ {
			if !gone[j] && overlap(moved[i], moved[j], areas[i], areas[j]) > threshold {
				gone[j] = true
			}
		}
	}
	return kept
}

// overlap is the IoU of two boxes, in float32 as torchvision computes it.
func overlap(a, b box.Box, areaA, areaB float32) float64 {
	w, h := max(0, min(a[2], b[2])-max(a[0], b[0])), max(0, min(a[3], b[3])-max(a[1], b[1]))
	inter := w * h
	return float64(inter / (areaA + areaB - inter))
}
