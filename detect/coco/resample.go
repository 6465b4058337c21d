package coco

import (
	"math"
	"math/bits"
	"slices"
)

// resampled computes AP of images that count several times.
type resampled struct {
	e          *Evaluation
	half       int // the place of .5 in Config.IoUs; -1: it is not there
	categories []resampledCategory
	points     [][]weighted // [T]
	wrong      []int64      // [T]
}

// resampledCategory are the detections of a category by falling score, and its objects.
type resampledCategory struct {
	verdicts []imageVerdict
	objects  []imageObjects
}

type imageVerdict struct {
	image        int32
	right, wrong uint64 // a bit for each IoU threshold
}

type imageObjects struct{ image, n int32 }

// weighted is a place of the curve of precision and recall.
type weighted struct {
	right     int64
	precision float64
}

func newResampled(e *Evaluation) *resampled {
	w := &resampled{e: e, points: make([][]weighted, len(e.Config.IoUs)), wrong: make([]int64, len(e.Config.IoUs))}
	w.half = slices.Index(e.Config.IoUs, 0.5)
	all := ^uint64(0) >> (maxIoUs - len(e.Config.IoUs))
	var order []int32
	for k := range e.Categories {
		var c resampledCategory
		order = order[:0]
		for i := e.x.first[k]; i < e.x.first[k+1]; i++ {
			g := e.x.groups[i]
			if n := e.m.positives[0][i]; n > 0 {
				c.objects = append(c.objects, imageObjects{g.image, n})
			}
			for d := g.d0; d < g.d1; d++ {
				order = append(order, d)
			}
		}
		if len(c.objects) == 0 {
			continue
		}
		sortByScore(order, e.x.found)
		for _, d := range order {
			matched, ignored := e.m.matched[0][d], e.m.ignored[0][d]
			c.verdicts = append(c.verdicts, imageVerdict{e.x.found[d].image, matched &^ ignored, all &^ (matched | ignored)})
		}
		w.categories = append(w.categories, c)
	}
	return w
}

// ap returns AP and AP50 of images that count so many times each.
func (w *resampled) ap(times []int32) (all, half float64) {
	sum, sumHalf, present := 0.0, 0.0, 0
	for i := range w.categories {
		c := &w.categories[i]
		objects := int64(0)
		for _, o := range c.objects {
			objects += int64(times[o.image]) * int64(o.n)
		}
		if objects == 0 {
			continue
		}
		present++
		w.count(c, times)
		for t := range w.points {
			area := w.area(w.points[t], float64(objects))
			sum += area
			if t == w.half {
				sumHalf += area
			}
		}
	}
	if w.half < 0 {
		sumHalf = math.NaN()
	}
	return sum / float64(present*len(w.points)), sumHalf / float64(present)
}

// count walks down the detections of a category.
func (w *resampled) count(c *resampledCategory, times []int32) {
	all := ^uint64(0) >> (maxIoUs - len(w.points))
	for t := range w.points {
		w.points[t], w.wrong[t] = w.points[t][:0], 0
	}
	everywhere := int64(0) // wrong at all thresholds
	for _, v := range c.verdicts {
		n := int64(times[v.image])
		if v.wrong == all {
			everywhere += n
			continue
		}
		if n == 0 {
			continue
		}
		for wrong := v.wrong; wrong != 0; wrong &= wrong - 1 {
			w.wrong[bits.TrailingZeros64(wrong)] += n
		}
		for right := v.right; right != 0; right &= right - 1 {
			t := bits.TrailingZeros64(right)
			sum := n
			if p := w.points[t]; len(p) > 0 {
				sum += p[len(p)-1].right
			}
			w.points[t] = append(w.points[t], weighted{sum, float64(sum) / float64(sum+everywhere+w.wrong[t])})
		}
	}
}

// area is the mean precision over the recalls, each the highest at that recall or a
// higher one.
func (w *resampled) area(points []weighted, objects float64) float64 {
	recalls := w.e.Config.Recalls
	sum, highest := 0.0, 0.0
	for r := len(recalls) - 1; r >= 0; r-- {
		for len(points) > 0 && float64(points[len(points)-1].right)/objects >= recalls[r] {
			highest = max(highest, points[len(points)-1].precision)
			points = points[:len(points)-1]
		}
		sum += highest
	}
	return sum / float64(len(recalls))
}
