package data

import (
	"math"
	"slices"
	"strings"
)

// object reads an object; false: it is dropped.
func (r *vocReader) object(o *Object, v *vocObject, img *Image, where string) bool {
	class, ok := r.class[v.Name]
	if !ok {
		r.find.add(ObjectNoClass, "%s: no name", where)
		return false
	}
	o.Class = class
	if v.Difficult == "" {
		r.find.add(DifficultMissing, "%s", where)
	}
	if v.Truncated == "" {
		r.find.add(TruncatedMissing, "%s", where)
	}
	o.Difficult, o.Truncated = isSet(v.Difficult), isSet(v.Truncated)
	if lists := r.polygons(v.polygons(), where); len(lists) > 0 {
		o.Mask = &Mask{Polygons: lists}
	}
	if !r.vocBox(o, v, img, where) {
		return false
	}
	o.Area = o.area()
	return true
}

// vocBox reads the box of an object. The corners of VOC count pixels from 1 and are
// inclusive: the first pixel is the box 1, 1, 1, 1.
func (r *vocReader) vocBox(o *Object, v *vocObject, img *Image, where string) bool {
	b, ok := v.corners()
	switch {
	case ok:
		o.Box = b
		if !r.fromZero {
			o.Box[0], o.Box[1] = b[0]-1, b[1]-1
		}
		if finite(b[:]) && slices.ContainsFunc(b[:], func(v float64) bool { return v != math.Trunc(v) }) {
			r.find.add(BoxesFloat, "%s: %v", where, b)
		}
	case len(v.Rotated) > 0:
		q := v.Rotated[0]
		w, h := parseFloat(strings.TrimSpace(q.W)), parseFloat(strings.TrimSpace(q.H))
		o.Box = rotated(parseFloat(strings.TrimSpace(q.CX)), parseFloat(strings.TrimSpace(q.CY)), w, h, parseFloat(strings.TrimSpace(q.Angle)))
		r.find.add(BoxRotated, "%s", where)
	default:
		r.find.add(BoxMissing, "%s", where)
		if o.Mask == nil {
			return false
		}
		o.Box, _ = o.Mask.bounds()
	}
	return r.fit(&o.Box, img, where)
}

// rotated is the upright box around a rotated one, which is given by its centre, its
// sides and an angle in radians.
func rotated(cx, cy, w, h, angle float64) [4]float64 {
	s, c := math.Sincos(angle)
	dx, dy := (math.Abs(w*c)+math.Abs(h*s))/2, (math.Abs(w*s)+math.Abs(h*c))/2
	return [4]float64{cx - dx, cy - dy, cx + dx, cy + dy}
}
