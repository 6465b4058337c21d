package box

import (
	"math"
	"slices"
)

// TopK returns the indices of the k highest scores, or of all if they are fewer, the
// highest first. Of equal scores that with the lower index comes first; NaN come last.
func TopK(scores []float32, k int) []int {
	k = max(0, min(k, len(scores)))
	if k == 0 {
		return []int{}
	}
	keys := make([]uint64, 0, min(2*k, len(scores)))
	limit := uint64(math.MaxUint64) // the highest key of the k lowest so far
	for i, s := range scores {
		v := key(s, i)
		if v > limit {
			continue
		}
		keys = append(keys, v)
		if len(keys) == 2*k {
			lowest(keys, k)
			keys = keys[:k]
			limit = slices.Max(keys)
		}
	}
	lowest(keys, k)
	keys = keys[:k]
	slices.Sort(keys)
	order := make([]int, k)
	for i, v := range keys {
		order[i] = int(v & math.MaxUint32)
	}
	return order
}

// key orders scores as integers: that of a higher score is lower, and that of an equal
// score with a lower index.
func key(score float32, i int) uint64 {
	bits := math.Float32bits(score + 0)   // -0 becomes 0
	bits ^= ^uint32(int32(bits)>>31) >> 1 // lower for higher scores
	if score != score {
		bits = math.MaxUint32
	}
	return uint64(bits)<<32 | uint64(i)
}

// lowest moves the k lowest keys, all of which differ, to the front, in any order.
func lowest(keys []uint64, k int) {
	lo, hi := 0, len(keys) // those before lo are among the lowest, those from hi on are not
	for lo < k && k < hi {
		pivot := middle(keys[lo], keys[lo+(hi-lo)/2], keys[hi-1])
		i, j := lo, hi-1
		for i <= j {
			for keys[i] < pivot {
				i++
			}
			for keys[j] > pivot {
				j--
			}
			if i <= j {
				keys[i], keys[j] = keys[j], keys[i]
				i++
				j--
			}
		}
		switch {
		case k <= j+1:
			hi = j + 1
		case k >= i:
			lo = i
		default:
			return
		}
	}
}

// middle is the second of three.
func middle(a, b, c uint64) uint64 {
	return max(min(a, b), min(max(a, b), c))
}
