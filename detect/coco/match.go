package coco

import "math"

// matches say of each detection, for each area range and IoU threshold, whether it
// matches an object, and whether it is ignored: neither right nor wrong.
type matches struct {
	matched, ignored [][]uint64 // [A][D], a bit for each threshold
	positives        [][]int32  // [A][groups] objects that are not ignored
}

// candidate is an object that a detection overlaps enough for the lowest threshold.
type candidate struct {
	object int32 // of its group
	iou    float64
}

// matcher matches the detections of one group at a time.
type matcher struct {
	x      *index
	ious   []float64 // [d,g]
	cands  []candidate
	starts []int32  // into cands, of each detection
	ignore []bool   // of each object, in an area range
	used   []uint64 // of each object, the thresholds at which it is matched
	lowest float64  // of the thresholds
}

func (x *index) match() (*matches, error) {
	areas := len(x.c.Areas)
	m := &matches{matched: make([][]uint64, areas), ignored: make([][]uint64, areas), positives: make([][]int32, areas)}
	for a := range areas {
		m.matched[a], m.ignored[a] = make([]uint64, len(x.found)), make([]uint64, len(x.found))
		m.positives[a] = make([]int32, len(x.groups))
	}
	w := x.newMatcher()
	for i, g := range x.groups {
		if err := w.overlap(g); err != nil {
			return nil, err
		}
		for a := range areas {
			m.positives[a][i] = w.setIgnored(g, x.c.Areas[a])
			w.matchGroup(g, x.c.Areas[a], m.matched[a][g.d0:g.d1], m.ignored[a][g.d0:g.d1])
		}
	}
	return m, nil
}

func (x *index) newMatcher() *matcher {
	w := &matcher{x: x, lowest: math.Inf(1)}
	for _, t := range x.c.IoUs {
		w.lowest = min(w.lowest, limit(t))
	}
	return w
}

// limit is the lowest overlap that matches at a threshold.
func limit(threshold float64) float64 { return min(threshold, 1-1e-10) }

// overlap finds the candidates of all detections of a group.
func (w *matcher) overlap(g group) error {
	w.cands, w.starts = w.cands[:0], append(w.starts[:0], 0)
	n := int(g.g1 - g.g0)
	if n > 0 && g.d1 > g.d0 {
		var err error
		if w.ious, err = w.x.overlaps(w.ious, w.x.found[g.d0:g.d1], w.x.objects[g.g0:g.g1]); err != nil {
			return err
		}
	}
	for d := range int(g.d1 - g.d0) {
		for o := range n {
			if iou := w.ious[d*n+o]; !(iou < w.lowest) {
				w.cands = append(w.cands, candidate{int32(o), iou})
			}
		}
		w.starts = append(w.starts, int32(len(w.cands)))
	}
	return nil
}

// setIgnored decides which objects an area range ignores, and counts the others.
func (w *matcher) setIgnored(g group, r AreaRange) (positives int32) {
	w.ignore, w.used = w.ignore[:0], w.used[:0]
	for _, o := range w.x.objects[g.g0:g.g1] {
		ignore := o.crowd || o.area < r.Min || o.area > r.Max
		if !ignore {
			positives++
		}
		w.ignore, w.used = append(w.ignore, ignore), append(w.used, 0)
	}
	return positives
}

// matchGroup gives each detection, the best first, the object that it overlaps most.
// Objects that are ignored are taken only where no other one fits. All may be taken
// once, and crowds again and again.
func (w *matcher) matchGroup(g group, r AreaRange, matched, ignored []uint64) {
	all := ^uint64(0) >> (maxIoUs - len(w.x.c.IoUs))
	for d := range matched {
		f := &w.x.found[int(g.d0)+d]
		if cands := w.cands[w.starts[d]:w.starts[d+1]]; len(cands) > 0 {
			for t, threshold := range w.x.c.IoUs {
				o := w.best(g, cands, t, limit(threshold))
				if o < 0 {
					continue
				}
				bit := uint64(1) << t
				matched[d] |= bit
				w.used[o] |= bit
				if w.ignore[o] {
					ignored[d] |= bit
				}
			}
		}
		if f.area < r.Min || f.area > r.Max {
			ignored[d] |= all &^ matched[d]
		}
	}
}

// best returns the object of the highest overlap, the last of equal ones; -1: none.
func (w *matcher) best(g group, cands []candidate, t int, limit float64) int32 {
	best := int32(-1)
	for _, ignored := range [2]bool{false, true} {
		for _, c := range cands {
			if w.ignore[c.object] != ignored || c.iou < limit {
				continue
			}
			if w.used[c.object]>>t&1 == 1 && !w.x.objects[g.g0+c.object].crowd {
				continue
			}
			best, limit = c.object, c.iou
		}
		if best >= 0 {
			return best
		}
	}
	return best
}
