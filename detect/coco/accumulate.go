package coco

import (
	"cmp"
	"math/bits"
	"slices"
)

// point is a place of the curve of precision and recall where recall rises.
type point struct {
	precision float64
	at        int32 // the detection that is right, into index.found
}

// curves counts the detections of a category, from the highest score down.
type curves struct {
	x      *index
	e      *Evaluation
	order  []int32   // the category's detections by falling score, into index.found
	kept   []int32   // those among the best of each image
	points [][]point // [T]
	wrong  []int     // [T]
}

// accumulate fills Precision, Recall and Scores.
func (e *Evaluation) accumulate(x *index, m *matches) {
	w := &curves{x: x, e: e, points: make([][]point, len(x.c.IoUs)), wrong: make([]int, len(x.c.IoUs))}
	for k := range x.categories {
		lo, hi := x.first[k], x.first[k+1]
		if lo == hi {
			continue
		}
		w.sort(x.groups[lo].d0, x.groups[hi-1].d1)
		for i, maxDets := range x.c.MaxDets {
			w.kept = w.kept[:0]
			for _, p := range w.order {
				if int(x.found[p].rank) < maxDets {
					w.kept = append(w.kept, p)
				}
			}
			for a := range x.c.Areas {
				if n := e.positives[k*len(x.c.Areas)+a]; n > 0 {
					w.count(m.matched[a], m.ignored[a])
					w.fill((k*len(x.c.Areas)+a)*len(x.c.MaxDets)+i, float64(n))
				}
			}
		}
	}
}

func (w *curves) sort(from, to int32) {
	w.order = w.order[:0]
	for p := from; p < to; p++ {
		w.order = append(w.order, p)
	}
	sortByScore(w.order, w.x.found)
}

func sortByScore(places []int32, f []found) {
	slices.SortFunc(places, func(a, b int32) int {
		if c := cmp.Compare(f[b].score, f[a].score); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
}

// count walks down the detections and notes the points of each threshold's curve.
func (w *curves) count(matched, ignored []uint64) {
	all := ^uint64(0) >> (maxIoUs - len(w.points))
	for t := range w.points {
		w.points[t], w.wrong[t] = w.points[t][:0], 0
	}
	everywhere := 0 // detections that are wrong at all thresholds
	for _, p := range w.kept {
		right, wrong := matched[p]&^ignored[p], all&^(matched[p]|ignored[p])
		if wrong == all {
			everywhere++
			continue
		}
		for ; wrong != 0; wrong &= wrong - 1 {
			w.wrong[bits.TrailingZeros64(wrong)]++
		}
		for ; right != 0; right &= right - 1 {
			t := bits.TrailingZeros64(right)
			tp, fp := float64(len(w.points[t])+1), float64(everywhere+w.wrong[t])
			w.points[t] = append(w.points[t], point{tp / (fp + tp + epsilon), p})
		}
	}
}

// epsilon is numpy's spacing(1).
const epsilon = 2.220446049250313e-16

// fill writes the curves, of one category, area range and number of detections.
func (w *curves) fill(at int, positives float64) {
	thresholds, recalls := len(w.points), w.x.c.Recalls
	for t, points := range w.points {
		// Precision becomes the highest at this recall or a higher one.
		for i := len(points) - 2; i >= 0; i-- {
			points[i].precision = max(points[i].precision, points[i+1].precision)
		}
		w.e.Recall[at*thresholds+t] = float64(len(points)) / positives
		precision := w.e.Precision[(at*thresholds+t)*len(recalls):][:len(recalls)]
		scores := w.e.Scores[(at*thresholds+t)*len(recalls):][:len(recalls)]
		i := 0
		for r, recall := range recalls {
			if recall <= 0 && len(w.kept) > 0 { // from the first detection on, right or not
				scores[r] = w.x.found[w.kept[0]].score
				precision[r] = 0
				if len(points) > 0 {
					precision[r] = points[0].precision
				}
				continue
			}
			for i < len(points) && float64(i+1)/positives < recall {
				i++
			}
			precision[r], scores[r] = 0, 0
			if i < len(points) {
				precision[r], scores[r] = points[i].precision, w.x.found[points[i].at].score
			}
		}
	}
}
