package data

import "math"

// rounding is by how much a box may reach out of its image, in pixels: coordinates of
// COCO's files are rounded to two decimals.
const rounding = 0.011

// fit cuts a box at the border of its image; false: it is dropped. where is a
// fmt.Stringer or a text.
func (s *Set) fit(b *[4]float64, img *Image, where any) bool {
	if !judgeable(*b) {
		s.find.add(BoxNotFinite, "%v: %v", where, *b)
		return false
	}
	whole := *b
	switch w, h := b[2]-b[0], b[3]-b[1]; {
	case w < 0 || h < 0:
		s.find.add(BoxNegative, "%v: %v", where, whole)
		return false
	case w == 0 || h == 0:
		s.find.add(BoxEmpty, "%v: %v", where, whole)
		return false
	case w < 1 || h < 1:
		s.find.add(BoxThin, "%v: %.4g x %.4g", where, w, h)
	}
	cut := clip(*b, float64(img.Width), float64(img.Height))
	switch {
	case cut[0] >= cut[2] || cut[1] >= cut[3]:
		s.find.add(BoxBeyond, "%v: %v in an image of %dx%d", where, whole, img.Width, img.Height)
		return false
	case distance(cut, whole) > rounding:
		s.find.add(BoxOutside, "%v: %v in an image of %dx%d", where, whole, img.Width, img.Height)
		*b = cut
	}
	return true
}

// judgeable reports whether numbers are finite and in the range of coordinates.
func judgeable(b [4]float64) bool {
	for _, v := range b {
		if !(math.Abs(v) <= 1e9) {
			return false
		}
	}
	return true
}

// clip is the part of a box in an image of w x h; a size of 0 is unknown.
func clip(b [4]float64, w, h float64) [4]float64 {
	if w == 0 || h == 0 {
		w, h = math.Inf(1), math.Inf(1)
	}
	return [4]float64{max(b[0], 0), max(b[1], 0), min(b[2], w), min(b[3], h)}
}

// distance is the largest difference of coordinates.
func distance(a, b [4]float64) float64 {
	d := 0.0
	for i := range a {
		d = max(d, math.Abs(a[i]-b[i]))
	}
	return d
}

// area is the area of an object's mask, or of its box where it has none.
func (o *Object) area() float64 {
	if o.Mask != nil {
		if a := o.Mask.area(); a > 0 {
			return a
		}
	}
	return max(o.Box[2]-o.Box[0], 0) * max(o.Box[3]-o.Box[1], 0)
}

// xywh is the box as x, y, width, height, with the numbers of the file where there are,
// even if they reach out of the image.
func (o *Object) xywh() [4]float64 {
	if o.known && o.Box == o.fitted {
		return o.given
	}
	return [4]float64{o.Box[0], o.Box[1], o.Box[2] - o.Box[0], o.Box[3] - o.Box[1]}
}

// unfitObject is an object that was dropped for its box, which is empty or not in the image.
// It counts in an evaluation, as in pycocotools.
type unfitObject struct {
	Object
	at int // how many objects of the image come before it
}

// judged yields the objects of an image for an evaluation, in the order of the file.
func (img *Image) judged(yield func(o *Object, fits bool) bool) {
	rest := img.unfit
	for i := range len(img.Objects) + 1 {
		for len(rest) > 0 && (rest[0].at <= i || i == len(img.Objects)) {
			if !yield(&rest[0].Object, false) {
				return
			}
			rest = rest[1:]
		}
		if i < len(img.Objects) && !yield(&img.Objects[i], true) {
			return
		}
	}
}

// repeated notes objects with the class and box of another one in their image.
func (s *Set) repeated() {
	type same struct {
		class int
		box   [4]float64
	}
	for i := range s.Images {
		seen := map[same]bool{}
		for _, o := range s.Images[i].Objects {
			k := same{o.Class, o.Box}
			if seen[k] {
				s.find.add(BoxRepeated, "%s: %q, %v", s.Images[i].Path, s.Classes[o.Class].Name, o.Box)
			}
			seen[k] = true
		}
	}
}
