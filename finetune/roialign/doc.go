// Package roialign pools the features of boxes from the levels of a pyramid, and
// differentiates the pooling with respect to the features (RoIAlign: He et al. 2017,
// section 3).
//
// A box is divided into Size x Size bins. Each bin is the mean of samples at regular
// distances, and each sample is interpolated between the four pixels around it. The
// rows and the columns of a box can be treated apart: with Wy [Size,H] and Wx [Size,W],
// what the pixels of a column and of a row contribute to the bins, a box of a map F
// [H,W] is pooled to Wy·F·Wxᵀ, and the gradient with respect to F is Wyᵀ·dY·Wx.
//
// Coordinates are in pixels of the network's input. Samples that are more than one
// pixel outside of a map are 0; those between it and there have the value at its edge.
package roialign

import (
	"fmt"
	"math"
)

// Float is the type of features and coordinates.
type Float interface{ float32 | float64 }

// Pooling says how boxes are pooled.
type Pooling struct {
	Size     int // the bins of a box are Size x Size
	Sampling int // samples along each side of a bin; 0: as many as it has pixels, rounded up
	// Aligned is the convention of Detectron2: pixels have their centres at halves. Else
	// they have them at whole numbers, and boxes are at least 1 pixel of their level wide
	// and high, as in the first implementations and by default in torchvision.
	Aligned bool
}

// RoIs are K boxes, sorted by the level of the pyramid that they are pooled from.
// Numbers of images and rows are whole numbers of type T, so that programs whose
// inputs are floats can be given the same slices.
type RoIs[T Float] struct {
	Boxes  []T // [K,4]: x1, y1, x2, y2
	Images []T // [K]: the image of each box, from 0 on
	Bounds []T // one more than levels, from 0 to K: level l has the rows Bounds[l] to Bounds[l+1]-1
}

// Level returns the first row of a level, and the first behind it.
func (r RoIs[T]) Level(l int) (from, to int) { return int(r.Bounds[l]), int(r.Bounds[l+1]) }

// Box returns the coordinates of a row.
func (r RoIs[T]) Box(row int) [4]T { return [4]T(r.Boxes[4*row:]) }

// Check returns an error if these are not finite boxes of a number of images and
// levels.
func (r RoIs[T]) Check(images, levels int) error {
	k := len(r.Images)
	if len(r.Boxes) != 4*k || len(r.Bounds) != levels+1 {
		return fmt.Errorf("roialign: %d coordinates, %d images and %d bounds, expected 4 and 1 of each box, and %d bounds", len(r.Boxes), k, len(r.Bounds), levels+1)
	}
	last := T(0)
	for _, b := range r.Bounds {
		if !(b >= last && b <= T(k)) || b != T(int(b)) {
			last = -1
			break
		}
		last = b
	}
	if r.Bounds[0] != 0 || last != T(k) {
		return fmt.Errorf("roialign: bounds %v, expected whole numbers that rise from 0 to %d", r.Bounds, k)
	}
	for i, n := range r.Images {
		if !(n >= 0 && n < T(images)) || n != T(int(n)) {
			return fmt.Errorf("roialign: box %d is of image %v, expected 0 to %d", i, n, images-1)
		}
	}
	for i, x := range r.Boxes {
		if x := float64(x); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("roialign: box %d is %v", i/4, r.Box(i/4))
		}
	}
	return nil
}
