package box

import "slices"

// NMS returns the indices of the boxes that non-maximum suppression keeps, by falling
// scores: going through the boxes in the order of TopK, it drops those whose IoU with
// one that was kept before is above the threshold. There is a score for each box.
func NMS(boxes []Box, scores []float32, iou float64) []int {
	return suppress(boxes, TopK(scores, len(boxes)), iou)
}

// NMSByClass is NMS of each class by itself, the results of all classes being merged by
// falling scores. There is a class for each box.
func NMSByClass(boxes []Box, scores []float32, classes []int, iou float64) []int {
	order := TopK(scores, len(boxes))
	byClass := map[int][]int{}
	for _, i := range order {
		byClass[classes[i]] = append(byClass[classes[i]], i)
	}
	kept := make([]bool, len(boxes))
	for _, class := range byClass {
		for _, i := range suppress(boxes, class, iou) {
			kept[i] = true
		}
	}
	return slices.DeleteFunc(order, func(i int) bool { return !kept[i] })
}

// suppress goes through boxes in the given order, and returns the indices of those it
// keeps in that order.
func suppress(boxes []Box, order []int, iou float64) []int {
	kept := make([]int, 0, len(order))
	chosen := make([]Box, 0, len(order))
	areas := make([]float32, 0, len(order))
	places := make([]place, 0, len(order))
	g := newGrid(boxes, order)
next:
	for _, i := range order {
		b := &boxes[i]
		area, at := b.Area(), g.place(b)
		for k, p := range places {
			if min(p.x&at.x, p.y&at.y) == 0 {
				continue
			}
			c := &chosen[k]
			w := min(b[2], c[2]) - max(b[0], c[0])
			h := min(b[3], c[3]) - max(b[1], c[1])
			if !(w > 0 && h > 0) {
				continue
			}
			if inter := float32(w * h); float64(inter/(areas[k]+area-inter)) > iou {
				continue next
			}
		}
		kept = append(kept, i)
		chosen = append(chosen, *b)
		areas = append(areas, area)
		places = append(places, at)
	}
	return kept
}

// grid divides the plane into columns and rows. Boxes that meet are in a common column
// and a common row, which is much faster to see than where they meet.
type grid struct{ x, y, perX, perY float32 }

// place has a bit for each column and each row of a grid that a box has a part in.
type place struct{ x, y uint64 }

const strips = 64 // columns, and rows

// newGrid returns the grid of the area that boxes take up.
func newGrid(boxes []Box, order []int) grid {
	if len(order) == 0 {
		return grid{}
	}
	all := boxes[order[0]]
	for _, i := range order {
		b := &boxes[i]
		all = Box{min(all[0], b[0]), min(all[1], b[1]), max(all[2], b[2]), max(all[3], b[3])}
	}
	return grid{all[0], all[1], strips / all.Width(), strips / all.Height()}
}

func (g grid) place(b *Box) place {
	return place{
		between((b[0]-g.x)*g.perX, (b[2]-g.x)*g.perX),
		between((b[1]-g.y)*g.perY, (b[3]-g.y)*g.perY),
	}
}

// between has a bit for each strip that v0 to v1 has a part in; none if v1 is in one
// before that of v0.
func between(v0, v1 float32) uint64 {
	return ^uint64(0) << strip(v0) & (^uint64(0) >> (strips - 1 - strip(v1)))
}

// strip is the whole part of v, within a grid. It never falls as v rises, and infinite
// grids, where v is NaN, have one strip.
func strip(v float32) int {
	switch {
	case !(v > 0):
		return 0
	case v >= strips:
		return strips - 1
	}
	return int(v)
}
