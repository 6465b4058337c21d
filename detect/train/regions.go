package train

import (
	"cmp"
	"fmt"
	"slices"
)

// Regions are the regions of a batch, by level and image, padded to a fixed number.
type Regions struct {
	RoIs   []RoI // [R], padding included, which is at the end of level 0
	Bounds []int // [levels+1]; level l has RoIs[Bounds[l]:Bounds[l+1]]
	Count  int   // without padding
}

// NewRegions puts the regions of the images of a batch together. levels is the number
// of levels whose features are pooled, rows that of regions with padding.
func NewRegions(images [][]RoI, levels, rows int) *Regions {
	var all []RoI
	for i, of := range images {
		for _, r := range of {
			r.Image = i
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b RoI) int { return cmp.Compare(a.Level, b.Level) })
	return padded(all, levels, rows)
}

func padded(sorted []RoI, levels, rows int) *Regions {
	if len(sorted) > rows {
		panic(fmt.Sprintf("train: %d regions for %d rows", len(sorted), rows))
	}
	r := &Regions{Bounds: make([]int, levels+1), Count: len(sorted)}
	at := 0
	for l := range levels {
		for ; at < len(sorted) && sorted[at].Level == l; at++ {
			r.RoIs = append(r.RoIs, sorted[at])
		}
		for l == 0 && len(r.RoIs)+len(sorted)-at < rows {
			r.RoIs = append(r.RoIs, RoI{Box: [4]float32{0, 0, 1, 1}, Class: -1, Object: -1})
		}
		r.Bounds[l+1] = len(r.RoIs)
	}
	return r
}

// Objects are the regions that belong to objects, in chunks of a number of rows, the
// last one padded: those whose masks are learned.
func (r *Regions) Objects(rows int) []*Regions {
	var of []RoI
	for _, roi := range r.RoIs {
		if roi.Object >= 0 {
			of = append(of, roi)
		}
	}
	var out []*Regions
	for chunk := range slices.Chunk(of, rows) {
		out = append(out, padded(chunk, len(r.Bounds)-1, rows))
	}
	return out
}

// Inputs returns the boxes [R,4], their images [R] and the bounds [levels+1], as
// graph.RoIAlign takes them.
func (r *Regions) Inputs() (boxes, images, bounds []float32) {
	for _, roi := range r.RoIs {
		boxes, images = append(boxes, roi.Box[:]...), append(images, float32(roi.Image))
	}
	for _, b := range r.Bounds {
		bounds = append(bounds, float32(b))
	}
	return boxes, images, bounds
}

// Classes are the targets of the logits of classes outputs, the background included,
// [R,classes]: 1/Count for the class of a region, 0 for padding.
func (r *Regions) Classes(classes int) []float32 {
	out := make([]float32, len(r.RoIs)*classes)
	for i, roi := range r.RoIs {
		if roi.Class >= 0 {
			out[i*classes+roi.Class] = 1 / float32(r.Count)
		}
	}
	return out
}

// Deltas are the targets of the deltas of classes outputs, [R,classes*4], and their
// weights: 1/Count for those of the class of a region of an object, else 0.
func (r *Regions) Deltas(classes int) (values, weights []float32) {
	values, weights = make([]float32, len(r.RoIs)*classes*4), make([]float32, len(r.RoIs)*classes*4)
	for i, roi := range r.RoIs {
		if roi.Object < 0 {
			continue
		}
		at := (i*classes + roi.Class) * 4
		copy(values[at:], roi.Deltas[:])
		for k := range 4 {
			weights[at+k] = 1 / float32(r.Count)
		}
	}
	return values, weights
}
