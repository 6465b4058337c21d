package data

import (
	"errors"
	"math"

	"github.com/robust-transfer/rtx/detect/mask"
)

// Mask is the shape of an object, as the data have it: polygons, run lengths, or a file
// that is read when the shape is asked for.
type Mask struct {
	Polygons [][]float64 // x and y of each corner in turn; the mask is what is in any of them
	RLE      *mask.RLE   // nil: there are polygons, or a file

	read func() (*mask.RLE, error) // of a file
}

// errNoMask is the error for a mask that nothing is known of.
var errNoMask = errors.New("data: the mask has neither polygons nor run lengths")

// Runs returns the mask as run lengths, for an image of h x w pixels. The result is not to
// be changed.
func (m *Mask) Runs(h, w int) (*mask.RLE, error) {
	switch {
	case m.RLE != nil:
		return m.RLE, nil
	case m.read != nil:
		return m.read()
	case len(m.Polygons) > 0:
		return mask.FromPolygons(m.Polygons, h, w)
	}
	return nil, errNoMask
}

// bounds is the box around the mask; false: it is not known.
func (m *Mask) bounds() (b [4]float64, ok bool) {
	if m.RLE != nil {
		w := m.RLE.Bounds()
		return [4]float64{w[0], w[1], w[0] + w[2], w[1] + w[3]}, true
	}
	b = [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, p := range m.Polygons {
		for i := 0; i+1 < len(p); i += 2 {
			b[0], b[1] = min(b[0], p[i]), min(b[1], p[i+1])
			b[2], b[3] = max(b[2], p[i]), max(b[3], p[i+1])
		}
	}
	return b, len(m.Polygons) > 0
}

// area is the number of pixels, of polygons by their corners; 0: it is not known.
func (m *Mask) area() float64 {
	if m.RLE != nil {
		return float64(m.RLE.Area())
	}
	sum := 0.0
	for _, p := range m.Polygons {
		twice := 0.0
		for i := 0; i+1 < len(p); i += 2 {
			j := (i + 2) % len(p)
			twice += p[i]*p[j+1] - p[j]*p[i+1]
		}
		sum += math.Abs(twice) / 2
	}
	return sum
}

// polygons keeps those that are polygons. where is a fmt.Stringer or a text.
func (s *Set) polygons(lists [][]float64, where any) [][]float64 {
	kept := lists[:0]
	for _, p := range lists {
		switch {
		case !finite(p):
			s.find.add(PolygonNotFinite, "%v", where)
		case len(p) == 4:
			s.find.add(PolygonShort, "%v: %v, which may be a box", where, p)
		case len(p) < 6 || len(p)%2 == 1:
			s.find.add(PolygonShort, "%v: %d numbers", where, len(p))
		default:
			kept = append(kept, p)
		}
	}
	return kept
}

// strayMasks notes masks that do not meet their boxes, and objects without a mask where
// others have one.
func (s *Set) strayMasks() {
	some := false
	for i := range s.Images {
		for _, o := range s.Images[i].Objects {
			some = some || o.Mask != nil
		}
	}
	for i := range s.Images {
		for j, o := range s.Images[i].Objects {
			if o.Mask == nil {
				if some {
					s.find.add(MaskMissing, "%s: object %d", s.Images[i].Path, j+1)
				}
			} else if b, ok := o.Mask.bounds(); ok && (min(b[2], o.Box[2]) < max(b[0], o.Box[0]) || min(b[3], o.Box[3]) < max(b[1], o.Box[1])) {
				s.find.add(MaskBeside, "%s: object %d: the box %v, around the mask %v", s.Images[i].Path, j+1, o.Box, b)
			}
		}
	}
}

// finite reports whether all numbers are finite, and such as coordinates can be.
func finite(list []float64) bool {
	for _, v := range list {
		if !(math.Abs(v) <= mask.MaxCoordinate) {
			return false
		}
	}
	return true
}
