package coco

import (
	"fmt"
	"math"
)

// Curve says how precision and recall change as the least score falls, at one IoU
// threshold. There is a point for each score of a detection
// that is right or wrong.
type Curve struct {
	Objects int // that are to be found
	Points  []Operating
}

// Operating is what remains of the detections with a score of at least Score.
type Operating struct {
	Score        float64
	Right, Wrong int     // detections
	Missed       int     // objects
	Precision    float64 // right among the detections
	Recall       float64 // found among the objects
	F1           float64 // harmonic mean of the two
}

// AllCategories stands for all of them together: every detection and object counts the
// same, whatever its category.
const AllCategories = -1

// Curve returns the curve of a category, which is a place in Categories or
// AllCategories, at one of Config.IoUs.
func (e *Evaluation) Curve(category int, iou float64) (Curve, error) {
	t, err := e.threshold(iou)
	if err != nil {
		return Curve{}, err
	}
	if category < AllCategories || category >= len(e.Categories) {
		return Curve{}, fmt.Errorf("coco: category %d of %d", category, len(e.Categories))
	}
	from, to := category, category+1
	if category == AllCategories {
		from, to = 0, len(e.Categories)
	}
	var c Curve
	for k := from; k < to; k++ {
		c.Objects += e.positives[k*len(e.Config.Areas)]
	}
	var places []int32
	for _, g := range e.x.groups[e.x.first[from]:e.x.first[to]] {
		for d := g.d0; d < g.d1; d++ {
			if e.m.ignored[0][d]>>t&1 == 0 {
				places = append(places, d)
			}
		}
	}
	sortByScore(places, e.x.found)
	right, wrong := 0, 0
	for i, d := range places {
		if e.m.matched[0][d]>>t&1 == 1 {
			right++
		} else {
			wrong++
		}
		score := e.x.found[d].score
		if i+1 == len(places) || e.x.found[places[i+1]].score != score {
			c.Points = append(c.Points, operating(score, right, wrong, c.Objects))
		}
	}
	return c, nil
}

func operating(score float64, right, wrong, objects int) Operating {
	r, w, n := float64(right), float64(wrong), float64(objects)
	return Operating{Score: score, Right: right, Wrong: wrong, Missed: objects - right,
		Precision: r / (r + w), Recall: r / n, F1: 2 * r / (r + w + n)}
}

// Best returns the point of the highest F1, the one of the higher score if there are
// several. All its figures are NaN if there are no detections or no objects.
func (c Curve) Best() Operating {
	best := Operating{Missed: c.Objects, Score: math.NaN(), Precision: math.NaN(), Recall: math.NaN(), F1: math.NaN()}
	if c.Objects == 0 {
		return best
	}
	for _, p := range c.Points {
		if !(p.F1 <= best.F1) {
			best = p
		}
	}
	return best
}
