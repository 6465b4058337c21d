package coco

import (
	"cmp"
	"slices"
)

// Confusion counts what objects were taken for.
type Confusion struct {
	Categories []Category

	// Counts [K+1,K+1] has a row for what an object is and a column for what it was
	// taken for. The last row counts detections where there is nothing, the last column
	// objects that were not detected.
	Counts []int
}

// Confusion pairs the detections that have at least a score with objects that they
// overlap by at least iou, whatever the categories: the pair of the highest overlap
// first, each detection and each object at most once. Of equal overlaps that of the
// higher score comes first. Detections that are left and overlap a crowd by iou do not
// count, nor do crowds.
func (e *Evaluation) Confusion(iou, score float64) (*Confusion, error) {
	n := len(e.Categories) + 1
	c := &Confusion{Categories: e.Categories, Counts: make([]int, n*n)}
	kinds, taken := e.x.categoryOf()
	err := e.x.scenes(func(_ int32, s *scene) {
		detections := 0
		for detections < len(s.found) && e.x.found[s.found[detections]].score >= score {
			detections++
		}
		object := e.x.pair(s, detections, iou)
		found := make([]bool, len(s.objects))
		for d, o := range object {
			switch {
			case o >= 0:
				found[o] = true
				c.Counts[int(kinds[s.objects[o]])*n+int(taken[s.found[d]])]++
			case !e.x.onCrowd(s, d, iou):
				c.Counts[(n-1)*n+int(taken[s.found[d]])]++
			}
		}
		for o, at := range s.objects {
			if !found[o] && !e.x.objects[at].crowd {
				c.Counts[int(kinds[at])*n+n-1]++
			}
		}
	})
	return c, err
}

// pair returns the object of each of the first detections of a scene; -1: none.
func (x *index) pair(s *scene, detections int, iou float64) []int {
	type overlap struct {
		d, o int
		iou  float64
	}
	var pairs []overlap
	for d := range detections {
		for o, at := range s.objects {
			if v := s.overlaps[d*len(s.objects)+o]; v >= iou && !x.objects[at].crowd {
				pairs = append(pairs, overlap{d, o, v})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b overlap) int { return cmp.Compare(b.iou, a.iou) })
	object, used := make([]int, detections), make([]bool, len(s.objects))
	for d := range object {
		object[d] = -1
	}
	for _, p := range pairs {
		if object[p.d] < 0 && !used[p.o] {
			object[p.d], used[p.o] = p.o, true
		}
	}
	return object
}

// onCrowd says whether a detection overlaps a crowd.
func (x *index) onCrowd(s *scene, d int, iou float64) bool {
	for o, at := range s.objects {
		if x.objects[at].crowd && s.overlaps[d*len(s.objects)+o] >= iou {
			return true
		}
	}
	return false
}
