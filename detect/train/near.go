package train

import (
	"math"

	"github.com/robust-transfer/rtx/detect/box"
)

// slack is by how much a bound of an IoU is raised, as it is rounded and the IoU too.
const slack = 1e-4

// highest is at least the IoU that an anchor of this shape has with an object when they
// lie as well as they can. It is 0 if the object has no area, or is not finite.
func (s shape) highest(o box.Box) float32 {
	if !hasArea(o) || s.H*s.W == 0 {
		return 0
	}
	inter := min(o.Width(), s.Base.Width()) * min(o.Height(), s.Base.Height())
	return inter/(o.Area()+s.Base.Area()-inter) + slack
}

// hasArea tells whether an object is a box of a finite area above 0. Others belong to
// no anchor and are no regions.
func hasArea(b box.Box) bool {
	return b.Width() > 0 && b.Height() > 0 && !math.IsInf(float64(b.Area()), 0)
}

// near visits the anchors of this shape whose IoU with an object is above 0 and at
// least least, and others about them.
//
// The IoU of boxes of areas A and B whose intersection is I is I/(A+B-I), which is at
// least t where I is at least t(A+B)/(1+t). As I is not higher than the lower of the
// boxes, it must be so much wide, and the other way round.
func (s shape) near(o box.Box, least float32, visit func(index int, iou float32)) {
	t := max(least-slack, 0)
	inter := t * (o.Area() + s.Base.Area()) / (1 + t)
	y0, y1 := positions(o[1], o[3], s.Base[1], s.Base[3], inter/min(o.Width(), s.Base.Width()), s.StrideY, s.H)
	x0, x1 := positions(o[0], o[2], s.Base[0], s.Base[2], inter/min(o.Height(), s.Base.Height()), s.StrideX, s.W)
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			dx, dy := float32(x*s.StrideX), float32(y*s.StrideY)
			b := box.Box{s.Base[0] + dx, s.Base[1] + dy, s.Base[2] + dx, s.Base[3] + dy}
			if iou := box.IoU(b, o); iou > 0 {
				visit(s.Offset+y*s.W+x, iou)
			}
		}
	}
}

// positions are those, from first to behind-1, at which the side of a box, low to high
// at position 0, has at least a part of length length in common with the side from to to
// of an object, and one more at each end.
func positions(from, to, low, high, length float32, stride, count int) (first, behind int) {
	limit := func(v float32) int { return int(max(0, min(v, float32(count)))) }
	first = limit((from+length-high)/float32(stride) - 1)
	behind = limit((to-length-low)/float32(stride) + 2)
	return first, behind
}

func compareFalling(a, b float32) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}
