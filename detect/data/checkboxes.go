package data

import (
	"cmp"
	"math"
	"slices"
)

// BoxSizes is how large the objects of a data set are.
type BoxSizes struct {
	Objects int

	// Small, Medium and Large are the objects by COCO's limits: areas below 32x32, below
	// 96x96, and from there on. The area is that of the mask where there is one.
	Small, Medium, Large int

	// Side is the square root of a box's area, in pixels: the 5th, 50th and 95th
	// percentile; 0 where there are no objects.
	Side [3]float64

	Relative Histogram // of the square root of a box's area over that of the image's
	Aspect   Histogram // of width over height
}

// sizeOf is 0, 1 or 2 for COCO's small, medium and large.
func sizeOf(area float64) int {
	switch {
	case area < 32*32:
		return 0
	case area < 96*96:
		return 1
	}
	return 2
}

func (s *Set) boxSizes() BoxSizes {
	b := BoxSizes{
		Relative: newHistogram(0, .02, .04, .06, .08, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9, 1),
		Aspect:   newHistogram(0, 1./8, 1./4, 1./3, 1./2, 1/1.5, 1/1.2, 1.2, 1.5, 2, 3, 4, 8, math.Inf(1)),
	}
	var sides []float64
	for i := range s.Images {
		img := &s.Images[i]
		for j := range img.Objects {
			o := &img.Objects[j]
			b.Objects++
			switch sizeOf(o.Area) {
			case 0:
				b.Small++
			case 1:
				b.Medium++
			default:
				b.Large++
			}
			w, h := o.Box[2]-o.Box[0], o.Box[3]-o.Box[1]
			sides = append(sides, math.Sqrt(w*h))
			b.Aspect.add(w / h)
			if whole := float64(img.Width) * float64(img.Height); whole > 0 {
				b.Relative.add(math.Sqrt(w * h / whole))
			}
		}
	}
	slices.Sort(sides)
	for i, q := range []float64{.05, .5, .95} {
		if len(sides) > 0 {
			b.Side[i] = sides[int(math.Round(q*float64(len(sides)-1)))]
		}
	}
	return b
}

// Odd is a kind of box that exists and may be a mistake.
type Odd string

// Kinds of odd boxes.
const (
	OddThin      Odd = "thin"      // a side below one pixel
	OddWhole     Odd = "whole"     // it covers 99 % of the image or more
	OddElongated Odd = "elongated" // one side is more than ten times the other
	OddTwice     Odd = "twice"     // another object of its class has almost the same box: IoU above .95
	OddClasses   Odd = "classes"   // an object of another class has almost the same box: IoU above .95
)

var oddTexts = map[Odd]string{
	OddThin: "box(es) have a side below one pixel", OddWhole: "box(es) cover all of the image, or 99 % of it",
	OddElongated: "box(es) have one side that is more than ten times the other",
	OddTwice:     "object(s) have the box of another one of their class, or almost (IoU above .95)",
	OddClasses:   "object(s) have the box of one of another class, or almost (IoU above .95)",
}

// Text says what the boxes are, in words that follow a number.
func (k Odd) Text() string { return oddTexts[k] }

// OddBoxes is how often a kind of odd box occurs, and where.
type OddBoxes struct {
	Kind  Odd
	Count int
	Where []OddBox // at most a thousand
}

// OddBox is an odd box: an object of an image, by their places.
type OddBox struct {
	Image, Object int
	Other         int // the object that has the same box; -1: none
}

// mostOdd bounds OddBoxes.Where.
const mostOdd = 1000

// oddBoxes looks at all boxes but those of crowds.
func (s *Set) oddBoxes() []OddBoxes {
	var all []OddBoxes
	for _, k := range []Odd{OddThin, OddWhole, OddElongated, OddTwice, OddClasses} {
		all = append(all, OddBoxes{Kind: k})
	}
	for i := range s.Images {
		img := &s.Images[i]
		whole := float64(img.Width) * float64(img.Height)
		others := img.almostEqual()
		for j := range img.Objects {
			o := &img.Objects[j]
			if o.Crowd {
				continue
			}
			w, h := o.Box[2]-o.Box[0], o.Box[3]-o.Box[1]
			for k, is := range []bool{
				w < 1 || h < 1, whole > 0 && w*h >= .99*whole, min(w, h) >= 1 && max(w, h) > 10*min(w, h),
				others[j] >= 0 && img.Objects[others[j]].Class == o.Class, others[j] >= 0 && img.Objects[others[j]].Class != o.Class,
			} {
				if !is {
					continue
				}
				other := -1
				if all[k].Kind == OddTwice || all[k].Kind == OddClasses {
					other = others[j]
				}
				if all[k].Count++; len(all[k].Where) < mostOdd {
					all[k].Where = append(all[k].Where, OddBox{i, j, other})
				}
			}
		}
	}
	return slices.DeleteFunc(all, func(o OddBoxes) bool { return o.Count == 0 })
}

// almostEqual finds, for each object, an earlier one that has nearly the same box, one of
// its own class first; -1: there is none. Crowds have none.
func (img *Image) almostEqual() []int {
	others := make([]int, len(img.Objects))
	order := make([]int, len(img.Objects)) // by x1, so that only near boxes are compared
	for i := range order {
		order[i], others[i] = i, -1
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(img.Objects[a].Box[0], img.Objects[b].Box[0]) })
	for n, i := range order {
		a := &img.Objects[i]
		for _, j := range order[n+1:] {
			b := &img.Objects[j]
			if b.Box[0]-a.Box[0] > .05*(a.Box[2]-a.Box[0]) { // IoU is below .95 from here on
				break
			}
			if a.Crowd || b.Crowd || iou(a.Box, b.Box) <= .95 {
				continue
			}
			later, earlier := max(i, j), min(i, j)
			if known := others[later]; known < 0 || img.Objects[known].Class != img.Objects[later].Class && a.Class == b.Class {
				others[later] = earlier
			}
		}
	}
	return others
}

func iou(a, b [4]float64) float64 {
	w, h := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	both := w * h
	return both / ((a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - both)
}

// Base tells by boxes that touch the borders of their images whether coordinates are
// counted as this package takes them: continuous, from 0 at the left and upper border to
// the width and height at the right and lower one.
type Base struct {
	AtZero, AtOne        int    // left and upper sides of boxes that lie at 0, and at 1
	AtEnd, AtEndMinusOne int    // right and lower sides at the width and height, and one less
	Guess                string // what is wrong with that, in a sentence; "" if nothing seems to be
}

// enough is the number of sides that are no coincidence.
const enough = 10

func (s *Set) base() Base {
	var b Base
	for i := range s.Images {
		img := &s.Images[i]
		w, h := float64(img.Width), float64(img.Height)
		for _, o := range img.Objects {
			b.AtZero += count(o.Box[0] == 0, o.Box[1] == 0)
			b.AtOne += count(o.Box[0] == 1, o.Box[1] == 1)
			if img.Width > 0 && img.Height > 0 {
				b.AtEnd += count(o.Box[2] == w, o.Box[3] == h)
				b.AtEndMinusOne += count(o.Box[2] == w-1, o.Box[3] == h-1)
			}
		}
	}
	fromOne := b.AtOne >= enough && b.AtZero*20 < b.AtOne
	short := b.AtEndMinusOne >= enough && b.AtEnd*20 < b.AtEndMinusOne
	switch {
	case fromOne && short:
		b.Guess = "no boxes reach the borders of their images, and many end a pixel before them"
	case fromOne:
		b.Guess = "coordinates seem to be counted from 1: many boxes begin at 1 and hardly any at 0, so that they lie a pixel too far to the right and below"
	case short:
		b.Guess = "boxes seem to end at their last pixel and not behind it: many end a pixel before the border and hardly any at it, so that they are a pixel too small"
	}
	return b
}

func count(is ...bool) (n int) {
	for _, b := range is {
		if b {
			n++
		}
	}
	return n
}
