package coco

import "math"

// Summary holds COCO's twelve figures, as fractions. NaN, where pycocotools prints -1,
// stands for a figure that is not defined: there is no object of that size, or the
// threshold, area range or number of detections is not among the Config's.
type Summary struct {
	AP, AP50, AP75   float64 // average precision: the mean over all IoU thresholds, at .5, at .75
	APs, APm, APl    float64 // of small, medium and large objects
	AR1, AR10, AR100 float64 // average recall of the first, second and third of Config.MaxDets
	ARs, ARm, ARl    float64 // of small, medium and large objects
}

// Summary returns the twelve figures. Those that do not name a number of detections are
// of the last of Config.MaxDets.
func (e *Evaluation) Summary() Summary { return e.summary(0, len(e.Categories)) }

// summary is that of the categories from lo to hi.
func (e *Evaluation) summary(lo, hi int) Summary {
	last, every := len(e.Config.MaxDets)-1, math.NaN()
	ap := func(area string, iou float64) float64 {
		return e.mean(e.Precision, len(e.Config.Recalls), lo, hi, area, last, iou)
	}
	ar := func(area string, m int) float64 { return e.mean(e.Recall, 1, lo, hi, area, m, every) }
	return Summary{
		AP: ap(AreaAll, every), AP50: ap(AreaAll, 0.5), AP75: ap(AreaAll, 0.75),
		APs: ap(AreaSmall, every), APm: ap(AreaMedium, every), APl: ap(AreaLarge, every),
		AR1: ar(AreaAll, 0), AR10: ar(AreaAll, 1), AR100: ar(AreaAll, 2),
		ARs: ar(AreaSmall, last), ARm: ar(AreaMedium, last), ARl: ar(AreaLarge, last),
	}
}

// mean is the mean of the entries above -1 of v [K,A,M,T,n], over the categories from
// lo to hi, one area range, one place in MaxDets, and one IoU threshold, or all of them
// if iou is NaN.
func (e *Evaluation) mean(v []float64, n, lo, hi int, area string, m int, iou float64) float64 {
	c := &e.Config
	sum, count := 0.0, 0
	for a := range c.Areas {
		if c.Areas[a].Name != area || m >= len(c.MaxDets) {
			continue
		}
		for k := lo; k < hi; k++ {
			for t := range c.IoUs {
				if iou == iou && c.IoUs[t] != iou {
					continue
				}
				s := 0.0 // of a row by itself: few roundings
				for _, p := range v[(((k*len(c.Areas)+a)*len(c.MaxDets)+m)*len(c.IoUs)+t)*n:][:n] {
					if p > -1 {
						s += p
						count++
					}
				}
				sum += s
			}
		}
	}
	return sum / float64(count) // NaN: none
}

// Class are the figures of one category.
type Class struct {
	Category
	Objects    int // crowds not counted
	Detections int // that are judged: the best of each image, as many as the last of Config.MaxDets
	Summary
}

// PerClass returns the figures of each category, in the order of Categories.
func (e *Evaluation) PerClass() []Class {
	out := make([]Class, len(e.Categories))
	for k, c := range e.Categories {
		out[k] = Class{Category: c, Summary: e.summary(k, k+1)}
		for _, g := range e.x.groups[e.x.first[k]:e.x.first[k+1]] {
			out[k].Detections += int(g.d1 - g.d0)
			for _, o := range e.x.objects[g.g0:g.g1] {
				if !o.crowd {
					out[k].Objects++
				}
			}
		}
	}
	return out
}
