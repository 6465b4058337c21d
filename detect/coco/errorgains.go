package coco

import (
	"cmp"
	"math"
	"slices"
)

// verdict is a detection as AP counts it.
type verdict struct {
	category int32
	d        int32
	score    float64
	right    bool
}

// gains computes AP as it is, and without each kind of errors.
func (w *errorFinder) gains() {
	var right, wrong []verdict
	for d, f := range w.e.x.found {
		if w.a.object[d] >= 0 && !w.a.ignored[d] {
			right = append(right, verdict{w.taken[d], int32(d), f.score, true})
		}
	}
	for _, f := range w.errors {
		wrong = append(wrong, verdict{w.taken[f.d], f.d, w.e.x.found[f.d].score, false})
	}
	positives := make([]int, len(w.e.Categories))
	for k := range positives {
		positives[k] = w.e.positives[k*len(w.e.Config.Areas)]
	}
	w.out.AP = w.precision(slices.Concat(right, wrong), positives)
	gain := func(v []verdict, positives []int) float64 { return w.precision(v, positives) - w.out.AP }
	for i := range w.out.DeltaAP {
		kind := ErrorKind(i)
		v, n := slices.Clone(right), positives
		for j, f := range w.errors {
			if f.kind != kind {
				v = append(v, wrong[j])
			} else if f.o >= 0 && w.fixable[f.o] == f.d {
				v = append(v, verdict{w.kinds[f.o], f.d, wrong[j].score, true})
			}
		}
		if kind == KindMissed {
			n = w.without(positives, w.lost)
		}
		w.out.DeltaAP[kind] = max(gain(v, n), 0)
	}
	sorted := slices.Concat(right, wrong)
	for i := range sorted {
		sorted[i].score = 0
		if sorted[i].right {
			sorted[i].score = 1
		}
	}
	w.out.FalsePositive = gain(sorted, positives)
	var unfound []int32
	for o, d := range w.a.found {
		if d < 0 && !w.a.absent[o] {
			unfound = append(unfound, int32(o))
		}
	}
	w.out.FalseNegative = gain(slices.Concat(right, wrong), w.without(positives, unfound))
}

// without returns the numbers of objects without some of them.
func (w *errorFinder) without(positives []int, objects []int32) []int {
	positives = slices.Clone(positives)
	for _, o := range objects {
		positives[w.kinds[o]]--
	}
	return positives
}

// precision is the mean over categories of their average precision. One that has lost
// all its objects counts 0 if there are detections of it; one that never had any does
// not count.
func (w *errorFinder) precision(v []verdict, positives []int) float64 {
	slices.SortFunc(v, func(a, b verdict) int {
		return cmp.Or(cmp.Compare(a.category, b.category), cmp.Compare(b.score, a.score), cmp.Compare(a.d, b.d))
	})
	sum, count := 0.0, 0
	for k, n := range positives {
		end := 0
		for end < len(v) && int(v[end].category) == k {
			end++
		}
		if w.e.positives[k*len(w.e.Config.Areas)] > 0 && (n > 0 || end > 0) {
			sum += averagePrecision(v[:end], n, w.e.Config.Recalls)
			count++
		}
		v = v[end:]
	}
	if count == 0 {
		return math.NaN()
	}
	return sum / float64(count)
}

// averagePrecision is the mean over recalls of the highest precision at that recall or
// a higher one, for detections by falling score.
func averagePrecision(v []verdict, positives int, recalls []float64) float64 {
	if positives == 0 {
		return 0
	}
	var points []float64 // precision at each detection that is right
	for i := range v {
		if v[i].right {
			points = append(points, float64(len(points)+1)/float64(i+1))
		}
	}
	sum, highest := 0.0, 0.0
	for r := len(recalls) - 1; r >= 0; r-- {
		for len(points) > 0 && float64(len(points))/float64(positives) >= recalls[r] {
			highest = max(highest, points[len(points)-1])
			points = points[:len(points)-1]
		}
		sum += highest
	}
	return sum / float64(len(recalls))
}
