package data

import "strconv"

// numberByName numbers images that the data do not number. One whose file is called by a
// number, as 000005.jpg is, gets that number: so Ultralytics tells images in its results.
// The others are numbered on from the highest. Where two images of a split are called by
// the same number, all images keep the numbers that they have.
func (s *Set) numberByName() {
	type place struct {
		split string
		id    int64
	}
	ids, taken, highest := make([]int64, len(s.Images)), map[place]bool{}, int64(0)
	for i := range s.Images {
		img := &s.Images[i]
		id, ok := numberOf(stem(img.Path))
		if !ok {
			continue
		}
		if taken[place{img.Split, id}] {
			return
		}
		taken[place{img.Split, id}] = true
		ids[i], highest = id, max(highest, id)
	}
	for i := range s.Images {
		if _, ok := numberOf(stem(s.Images[i].Path)); !ok {
			highest++
			ids[i] = highest
		}
		s.Images[i].ID = ids[i]
	}
}

// numberOf is the number that a name consists of.
func numberOf(name string) (int64, bool) {
	const most = 1 << 62 // so that there are numbers above it
	n, err := strconv.ParseUint(name, 10, 64)
	return int64(n), err == nil && n < most
}
