package mask

// IoU fills dst [len(dt),len(gt)] with the intersection over union of each mask of dt
// with each of gt, and returns it; a dst that is too small is replaced by a new one.
// For a mask of gt that is a crowd, of many objects, the intersection is divided by the
// area of the mask of dt alone. A nil crowd says that there are none.
//
// Masks whose bounds do not meet have 0. Those whose bounds meet and whose sizes differ
// have -1, as in pycocotools.
func IoU(dst []float64, dt, gt []*RLE, crowd []bool) []float64 {
	n := len(dt) * len(gt)
	if cap(dst) < n {
		dst = make([]float64, n)
	}
	dst = dst[:n]
	ds, gs := shapes(dt), shapes(gt)
	for d := range ds {
		row := dst[d*len(gt) : (d+1)*len(gt)]
		for g := range gs {
			row[g] = iou(&ds[d], &gs[g], crowd != nil && crowd[g])
		}
	}
	return dst
}

// shape is a mask with what its overlaps are computed from.
type shape struct {
	*RLE
	box   extent
	area  uint32
	spans []span // filled when first needed
}

// span is a run of pixels in the mask; end is behind the last.
type span struct{ start, end uint32 }

func shapes(masks []*RLE) []shape {
	s := make([]shape, len(masks))
	for i, m := range masks {
		s[i] = shape{RLE: m, box: m.bounds()}
	}
	return s
}

func (s *shape) fill() {
	if s.spans != nil {
		return
	}
	s.spans = make([]span, 0, len(s.Counts)/2)
	var pos uint32
	for i, c := range s.Counts {
		if i%2 == 1 && c > 0 {
			s.spans = append(s.spans, span{pos, pos + c})
			s.area += c
		}
		pos += c
	}
}

func iou(d, g *shape, crowd bool) float64 {
	if !d.box.meets(g.box) {
		return 0
	}
	if d.H != g.H || d.W != g.W {
		return -1
	}
	d.fill()
	g.fill()
	i := common(d.spans, g.spans)
	if crowd {
		return float64(i) / float64(d.area)
	}
	return float64(i) / float64(d.area+g.area-i)
}

// common counts the pixels that are in both a and b.
func common(a, b []span) uint32 {
	var n uint32
	for len(a) > 0 && len(b) > 0 {
		start, end := max(a[0].start, b[0].start), min(a[0].end, b[0].end)
		if start < end {
			n += end - start
		}
		if a[0].end < b[0].end {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return n
}
