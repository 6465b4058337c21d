package voc

import "math"

// averagePrecision is AP of a class at a threshold of IoU, from its detections by
// falling scores and the number of its objects. It is NaN if there are none.
func averagePrecision(found []outcome, objects int, threshold float64, area bool) float64 {
	if objects == 0 {
		return math.NaN()
	}
	recall, precision := curve(found, objects, threshold)
	if area {
		return areaUnder(recall, precision)
	}
	return elevenPoints(recall, precision)
}

// curve is the recall and precision after each detection.
func curve(found []outcome, objects int, threshold float64) (recall, precision []float64) {
	taken := map[int]bool{}
	var right, wrong float64
	for _, o := range found {
		switch {
		case !(o.iou > threshold):
			wrong++
		case o.difficult:
		case taken[o.object]:
			wrong++
		default:
			right++
			taken[o.object] = true
		}
		recall = append(recall, right/float64(objects))
		precision = append(precision, right/max(right+wrong, epsilon))
	}
	return recall, precision
}

// epsilon is the distance of 1 to the next float64.
const epsilon = 0x1p-52

// elevenPoints is the mean of the highest precisions at recalls of at least 0, 0.1, and
// so on to 1.
func elevenPoints(recall, precision []float64) float64 {
	ap := 0.
	for i := range 11 {
		at := float64(i) * .1 // 0.30000000000000004 and the like, as in numpy.arange(0, 1.1, 0.1)
		best := 0.
		for k, r := range recall {
			if r >= at {
				best = max(best, precision[k])
			}
		}
		ap += best / 11
	}
	return ap
}

// areaUnder is the area under the curve, after precision has been made to fall with
// recall.
func areaUnder(recall, precision []float64) float64 {
	best := make([]float64, len(precision)+1) // the highest precision from a detection on
	for k := len(precision) - 1; k >= 0; k-- {
		best[k] = max(best[k+1], precision[k])
	}
	ap, last := 0., 0.
	for k, r := range recall {
		ap += float64((r - last) * best[k])
		last = r
	}
	return ap
}
