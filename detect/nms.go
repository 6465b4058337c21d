package detect

import (
	"cmp"
	"slices"

	"github.com/robust-transfer/rtx/detect/box"
)

// candidate is a box that may be chosen.
type candidate struct {
	box   box.Box
	score float32
	group int // a level or a class: boxes of different ones do not suppress each other
	index int // what it is, to the caller
}

// best is at most n of the indices 0 to len(scores)-1, with falling scores; of equal
// ones the lower index comes first.
func best(scores []float32, n int) []int {
	order := make([]int, 0, min(n, len(scores))+1)
	if n <= 0 {
		return order
	}
	better := func(a, b int) int { return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b)) }
	if len(scores) > 4*n {
		return bestOfMany(scores, n, better)
	}
	for i := range scores {
		order = append(order, i)
	}
	slices.SortFunc(order, better)
	return order[:min(n, len(order))]
}

// bestOfMany keeps the n best in a buffer of twice as many, which is cut back to n
// whenever it is full.
func bestOfMany(scores []float32, n int, better func(a, b int) int) []int {
	buffer := make([]int, 0, 2*n)
	cut := func() {
		slices.SortFunc(buffer, better)
		buffer = buffer[:min(n, len(buffer))]
	}
	least, full := float32(0), false
	for i, s := range scores {
		if full && !(s > least) { // one as good as the worst that is kept comes after it
			continue
		}
		buffer = append(buffer, i)
		if len(buffer) == cap(buffer) {
			cut()
			least, full = scores[buffer[n-1]], true
		}
	}
	cut()
	return buffer
}

// suppress is non-maximum suppression within each group: of the candidates, with
// falling scores, those whose IoU with a better one of their group that stays is not
// above threshold. At most most of a group stay. Of equal scores those of the lower
// group come first. candidates are sorted by it.
func suppress(candidates []candidate, threshold float64, most int) []candidate {
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.group, b.group))
	})
	var out []candidate
	kept := map[int][]box.Box{}
	for _, c := range candidates {
		group := kept[c.group]
		if len(group) >= most || slices.ContainsFunc(group, func(b box.Box) bool { return overlap(b, c.box, float32(threshold)) }) {
			continue
		}
		kept[c.group] = append(group, c.box)
		out = append(out, c)
	}
	return out
}

// overlap tells whether the IoU of two boxes is above a threshold, in the arithmetic of
// ONNX Runtime's NonMaxSuppression. An empty box overlaps none.
func overlap(a, b box.Box, threshold float32) bool {
	w, h := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return false
	}
	intersection := w * h
	areaA, areaB := a.Area(), b.Area()
	if areaA <= 0 || areaB <= 0 {
		return false
	}
	return intersection/(areaA+areaB-intersection) > threshold
}
