// Package box computes with boxes: their overlap, how detectors code them, and which
// of them to keep.
//
// A Box is x1, y1, x2, y2 in pixels, with x to the right and y down. Coordinates are
// continuous: a box from 0 to 1 covers the first pixel, and its width is x2-x1, with
// no pixel added.
package box

// Box is x1, y1, x2, y2.
type Box [4]float32

// Area is the width times the height.
func (b Box) Area() float32 { return (b[2] - b[0]) * (b[3] - b[1]) }
