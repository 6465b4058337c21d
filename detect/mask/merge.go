package mask

import (
	"errors"
	"fmt"
	"slices"
)

// Union returns the pixels that are in any of the masks, which are of one size.
func Union(masks ...*RLE) (*RLE, error) {
	return merge(masks, 1)
}

// Intersection returns the pixels that are in all of the masks, which are of one size.
func Intersection(masks ...*RLE) (*RLE, error) {
	return merge(masks, 2)
}

// merge returns the pixels that are in at least need of two masks, the first and the
// second; then of the result and the third, and so on.
func merge(masks []*RLE, need int) (*RLE, error) {
	if len(masks) == 0 {
		return nil, errors.New("mask: no masks to merge")
	}
	first := masks[0]
	for _, m := range masks {
		if m.H != first.H || m.W != first.W {
			return nil, fmt.Errorf("mask: masks of %dx%d and %dx%d cannot be merged", first.H, first.W, m.H, m.W)
		}
		if err := m.Validate(); err != nil {
			return nil, err
		}
	}
	merged := &RLE{first.H, first.W, slices.Clone(first.Counts)}
	var spare []uint32
	for _, m := range masks[1:] {
		spare, merged.Counts = merged.Counts, combine(spare[:0], merged.Counts, m.Counts, need)
	}
	return merged, nil
}

// combine appends to dst the runs of the pixels that are in at least need of the masks
// with runs a and b, which are of one size.
func combine(dst, a, b []uint32, need int) []uint32 {
	ra, rb := runs{counts: a}, runs{counts: b}
	inside := false
	var run uint32
	for ra.next() && rb.next() {
		if now := ra.value+rb.value >= need; now != inside {
			dst = append(dst, run)
			inside, run = now, 0
		}
		step := min(ra.left, rb.left)
		run += step
		ra.left -= step
		rb.left -= step
	}
	return append(dst, run)
}

// runs walks the runs of a mask.
type runs struct {
	counts []uint32
	i      int    // runs begun
	left   uint32 // pixels left of the present run
	value  int    // its pixels: 0 or 1
}

// next goes on to the next run with pixels if the present one has none left. It returns
// false at the end.
func (r *runs) next() bool {
	for r.left == 0 {
		if r.i == len(r.counts) {
			return false
		}
		r.left, r.value = r.counts[r.i], r.i%2
		r.i++
	}
	return true
}
