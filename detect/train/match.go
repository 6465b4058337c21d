package train

import (
	"slices"

	"github.com/robust-transfer/rtx/detect/box"
)

// What Match and MatchBoxes say of an anchor or a box that belongs to no object.
const (
	Background = -1
	Ignored    = -2
)

// Match returns for each anchor the number of its object, Background or Ignored. An
// anchor's object is that with which it has the highest IoU, of several the first.
//
// The result is that of torchvision's and Detectron2's matchers. They compute the IoU
// of all anchors and all objects; here only those are computed that can matter. In one
// case it differs: an object that no anchor meets gets none here, and all of them there.
func (m Matcher) Match(a *Anchors, objects []box.Box) []int32 {
	matched, highest := make([]int32, a.Len()), make([]float32, a.Len())
	for i := range matched {
		matched[i] = Background
	}
	s := newShapes(a)
	var best []int32 // anchors of the highest IoU with an object
	for k, o := range objects {
		best = append(best, s.nearest(m, o, func(index int, iou float32) {
			if iou > highest[index] {
				matched[index], highest[index] = int32(k), iou
			}
		})...)
	}
	for i, iou := range highest {
		if matched[i] >= 0 {
			matched[i] = m.settle(matched[i], iou)
		}
	}
	for _, i := range best {
		if matched[i] < 0 {
			matched[i], _ = bestObject(a.Box(int(i)), objects)
		}
	}
	return matched
}

// MatchBoxes is Match of boxes, without LowQuality.
func (m Matcher) MatchBoxes(boxes, objects []box.Box) []int32 {
	matched := make([]int32, len(boxes))
	for i, b := range boxes {
		k, iou := bestObject(b, objects)
		matched[i] = m.settle(k, iou)
	}
	return matched
}

// settle says what becomes of a box whose highest IoU is that with an object.
func (m Matcher) settle(object int32, iou float32) int32 {
	switch {
	case iou < float32(m.Low) || object < 0:
		return Background
	case iou < float32(m.High):
		return Ignored
	}
	return object
}

// bestObject is the object with which a box has the highest IoU; -1 if there are none.
func bestObject(b box.Box, objects []box.Box) (object int32, iou float32) {
	if len(objects) == 0 {
		return -1, 0
	}
	for k, o := range objects {
		if v := box.IoU(b, o); v > iou {
			object, iou = int32(k), v
		}
	}
	return object, iou
}

// shapes are the anchors of one level and one base each, which differ only in their
// positions.
type shapes []shape

type shape struct {
	Base             box.Box
	Offset           int // index of the anchor of position (0, 0)
	H, W             int // of the map
	StrideY, StrideX int
	bound            float32 // no anchor of this shape has a higher IoU with the object
}

func newShapes(a *Anchors) shapes {
	var s shapes
	for l, g := range a.Grids {
		for i, b := range g.Bases {
			s = append(s, shape{Base: b, Offset: a.Offsets[l] + i*g.Map.H*g.Map.W, H: g.Map.H, W: g.Map.W, StrideY: g.StrideY, StrideX: g.StrideX})
		}
	}
	return s
}

// nearest visits the anchors whose IoU with an object is at least Low, and of
// LowQuality returns those of the highest IoU, which it has visited as well.
func (s shapes) nearest(m Matcher, o box.Box, visit func(index int, iou float32)) (best []int32) {
	for i := range s {
		s[i].bound = s[i].highest(o)
	}
	slices.SortFunc(s, func(a, b shape) int { return compareFalling(a.bound, b.bound) })
	highest := float32(0)
	for _, shape := range s {
		least := float32(m.Low)
		if m.LowQuality {
			least = min(least, highest)
		}
		if shape.bound <= 0 || shape.bound < least {
			break
		}
		shape.near(o, least, func(index int, iou float32) {
			visit(index, iou)
			if iou > highest {
				best, highest = best[:0], iou
			}
			if iou == highest {
				best = append(best, int32(index))
			}
		})
	}
	if !m.LowQuality {
		return nil
	}
	return best
}
