// Package box computes with boxes: their overlap, how detectors code them, and which
// of them to keep.
//
// A Box is x1, y1, x2, y2 in pixels, with x to the right and y down. Coordinates are
// continuous: a box from 0 to 1 covers the first pixel, and its width is x2-x1, with
// no pixel added.
//
// Computations are in float32 and in the order of torchvision's, so that results agree
// with those of torchvision.ops. They differ where torchvision's are not numbers: the
// overlap of boxes without area, or of boxes that hold NaN, is 0 here. Products are
// rounded before they are added, on every processor: float32(x*y) says so.
package box

// Box is x1, y1, x2, y2.
type Box [4]float32

// Width is x2-x1.
func (b Box) Width() float32 { return b[2] - b[0] }

// Height is y2-y1.
func (b Box) Height() float32 { return b[3] - b[1] }

// Area is the width times the height.
func (b Box) Area() float32 { return float32((b[2] - b[0]) * (b[3] - b[1])) }

// Clip returns the part of the box that is in an image of the given size: coordinates
// outside become those of the border.
func (b Box) Clip(width, height float32) Box {
	return Box{
		min(max(b[0], 0), width), min(max(b[1], 0), height),
		min(max(b[2], 0), width), min(max(b[3], 0), height),
	}
}

// IoU is the intersection over union of two boxes, 0 where they do not meet.
func IoU(a, b Box) float32 {
	w := min(a[2], b[2]) - max(a[0], b[0])
	h := min(a[3], b[3]) - max(a[1], b[1])
	if !(w > 0 && h > 0) {
		return 0
	}
	inter := float32(w * h)
	iou := inter / (a.Area() + b.Area() - inter)
	if iou != iou {
		return 0
	}
	return iou
}

// PairwiseIoU fills dst [len(a),len(b)] with the IoU of each box of a with each of b,
// and returns it; a dst that is too small is replaced by a new one.
func PairwiseIoU(dst []float32, a, b []Box) []float32 {
	n := len(a) * len(b)
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	for i := range a {
		row := dst[i*len(b) : (i+1)*len(b)]
		for k := range b {
			row[k] = IoU(a[i], b[k])
		}
	}
	return dst
}
