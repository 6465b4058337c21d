package train

import "slices"

// Keys say what is sampled: of several anchors or regions those with the lowest keys.
// A key is a hash of the seed, the step, the image, what is sampled, and the identity of
// the anchor or the region. So a sample does not depend on the order in which regions
// come, nor on what else is sampled.
type Keys struct {
	Seed uint64
	Step int // of the training
	Row  int // of the image in its split
}

// What is sampled.
const (
	sampledAnchors = 1
	sampledRoIs    = 2
)

// of returns the keys of a purpose by identities. Different identities have different
// keys.
func (k Keys) of(purpose uint64) func(id uint64) uint64 {
	h := mix(mix(mix(mix(k.Seed)^uint64(k.Step))^uint64(k.Row)) ^ purpose)
	return func(id uint64) uint64 { return mix(h ^ id) }
}

// mix is a step of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number
// generators"), which maps integers one to one.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// sample collects those of the lowest keys.
type sample struct {
	keyed []keyed // at most twice as many as are wanted
	want  int
	limit uint64 // no higher key is wanted
	full  bool
}

type keyed struct {
	key   uint64
	index int
}

func (s *sample) add(key uint64, index int) {
	if s.want == 0 || s.full && key > s.limit {
		return
	}
	s.keyed = append(s.keyed, keyed{key, index})
	if len(s.keyed) == 2*s.want {
		s.cut()
	}
}

func (s *sample) cut() {
	if len(s.keyed) < s.want || s.want == 0 {
		return
	}
	slices.SortFunc(s.keyed, func(a, b keyed) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	s.keyed = s.keyed[:s.want]
	s.full, s.limit = true, s.keyed[s.want-1].key
}

// indices are those of the sample, rising.
func (s *sample) indices() []int {
	s.cut()
	out := make([]int, len(s.keyed))
	for i, k := range s.keyed {
		out[i] = k.index
	}
	slices.Sort(out)
	return out
}
