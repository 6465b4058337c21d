package coco

import (
	"fmt"
	"math"
)

// The analyses look at one IoU threshold, the first of Config.Areas and the last of
// Config.MaxDets. With the default that is all objects and at most 100 detections of an
// image and category.

// threshold returns the place of an IoU in Config.IoUs.
func (e *Evaluation) threshold(iou float64) (int, error) {
	for t, v := range e.Config.IoUs {
		if math.Abs(v-iou) < 1e-9 { // 0.9 is not among the defaults to the last bit
			return t, nil
		}
	}
	return 0, fmt.Errorf("coco: IoU %v was not evaluated; the thresholds are %v", iou, e.Config.IoUs)
}

// assignment says which detection found which object, at one threshold.
type assignment struct {
	object  []int32 // of each detection, into index.objects; -1: none
	found   []int32 // of each object, into index.found; -1: none
	ignored []bool  // of each detection: neither right nor wrong
	absent  []bool  // of each object: not to be found
}

// assign repeats the matching of Evaluate at threshold t.
func (e *Evaluation) assign(t int) (*assignment, error) {
	x, r := e.x, e.Config.Areas[0]
	a := &assignment{object: make([]int32, len(x.found)), found: make([]int32, len(x.objects)),
		ignored: make([]bool, len(x.found)), absent: make([]bool, len(x.objects))}
	for i := range a.object {
		a.object[i] = -1
	}
	for i := range a.found {
		a.found[i] = -1
	}
	w := x.newMatcher()
	for _, g := range x.groups {
		if err := w.overlap(g); err != nil {
			return nil, err
		}
		w.setIgnored(g, r)
		copy(a.absent[g.g0:g.g1], w.ignore)
		for d := g.d0; d < g.d1; d++ {
			o := int32(-1)
			if cands := w.cands[w.starts[d-g.d0]:w.starts[d-g.d0+1]]; len(cands) > 0 {
				o = w.best(g, cands, t, limit(e.Config.IoUs[t]))
			}
			if o < 0 {
				a.ignored[d] = x.found[d].area < r.Min || x.found[d].area > r.Max
				continue
			}
			w.used[o] |= 1 << t
			a.object[d], a.ignored[d] = g.g0+o, w.ignore[o]
			a.found[g.g0+o] = d
		}
	}
	return a, nil
}

// scene is all there is in an image: places in index.objects and index.found, the
// latter by falling score.
type scene struct {
	objects, found []int32
	overlaps       []float64 // [found,objects], whatever the categories
}

// scenes calls f for each image, in the order of ids, with what is in it.
func (x *index) scenes(f func(image int32, s *scene)) error {
	groups := make([][]group, len(x.images))
	for _, g := range x.groups {
		groups[g.image] = append(groups[g.image], g)
	}
	s := &scene{}
	var found []found
	var objects []object
	for image := range groups {
		s.objects, s.found, found, objects = s.objects[:0], s.found[:0], found[:0], objects[:0]
		for _, g := range groups[image] {
			for o := g.g0; o < g.g1; o++ {
				s.objects = append(s.objects, o)
				objects = append(objects, x.objects[o])
			}
			for d := g.d0; d < g.d1; d++ {
				s.found = append(s.found, d)
			}
		}
		sortByScore(s.found, x.found)
		for _, d := range s.found {
			found = append(found, x.found[d])
		}
		var err error
		if s.overlaps, err = x.overlaps(s.overlaps, found, objects); err != nil {
			return err
		}
		f(int32(image), s)
	}
	return nil
}

// categoryOf returns the category of each object and detection.
func (x *index) categoryOf() (objects, found []int32) {
	objects, found = make([]int32, len(x.objects)), make([]int32, len(x.found))
	for k := range x.categories {
		for _, g := range x.groups[x.first[k]:x.first[k+1]] {
			for o := g.g0; o < g.g1; o++ {
				objects[o] = int32(k)
			}
			for d := g.d0; d < g.d1; d++ {
				found[d] = int32(k)
			}
		}
	}
	return objects, found
}
