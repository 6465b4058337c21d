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
	merged := &RLE{first.H, first.W, canonical(slices.Clone(first.Counts))}
	var spare []uint32
	for _, m := range masks[1:] {
		spare, merged.Counts = merged.Counts, combine(spare[:0], merged.Counts, canonical(m.Counts), need)
	}
	return merged, nil
}

// canonical returns runs of which none but the first has length 0: counts itself if
// they are such.
func canonical(counts []uint32) []uint32 {
	if len(counts) > 0 && !slices.Contains(counts[1:], 0) {
		return counts
	}
	runs := []uint32{0}
	for i, c := range counts {
		switch {
		case c == 0:
		case i%2 == len(runs)%2:
			runs = append(runs, c)
		default:
			runs[len(runs)-1] += c
		}
	}
	return runs
}

// combine appends to dst the runs of the pixels that are in at least need of the masks
// with the canonical runs a and b, which are of one size.
func combine(dst, a, b []uint32, need int) []uint32 {
	dst = slices.Grow(dst, len(a)+len(b))
	i, j := 0, 0             // the present runs; odd ones are of the masks
	endA, endB := a[0], b[0] // where they end
	var start uint32         // of the run that comes next in dst
	alone := (need - 1) & 1  // parity of the runs of one mask in which the other decides
	for {
		// While one mask stays the same, the result changes with the other or not at all.
		if j&1 == alone {
			for ; endA < endB; i, endA = i+1, endA+a[i+1] {
				dst = append(dst, endA-start)
				start = endA
			}
		} else {
			for ; endA < endB; i, endA = i+1, endA+a[i+1] {
			}
		}
		if i&1 == alone {
			for ; endB < endA; j, endB = j+1, endB+b[j+1] {
				dst = append(dst, endB-start)
				start = endB
			}
		} else {
			for ; endB < endA; j, endB = j+1, endB+b[j+1] {
			}
		}
		if endA < endB {
			continue
		}
		if i == len(a)-1 {
			return append(dst, endA-start)
		}
		if (i^j)&1 == 0 { // both enter or leave their masks
			dst = append(dst, endA-start)
			start = endA
		}
		i++
		j++
		endA += a[i]
		endB += b[j]
	}
}
