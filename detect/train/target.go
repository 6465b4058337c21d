package train

import (
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
)

// Target is what is to be learned of an image. It is the truth of a row of data, in
// finetune.Batch.Truth. Boxes and masks are in pixels of the scaled image.
type Target struct {
	Row     int         // number of the image in its split
	Canvas  detect.Size // of the network's input, padding included
	Size    detect.Size // of the scaled image, which lies in the upper left of the canvas
	Given   detect.Size // of the image as the data have it
	Flipped bool        // left and right are exchanged

	Boxes  []box.Box // of the objects; crowds are left out
	Labels []int     // for each box, the index of its class in Spec.Detect.Classes
	Masks  []*Bitmap // for each box, nil where the mask of that object is not known; nil: the masks are not learned
}

// Bitmap is the mask of an object: a part of the image, outside of which the object has
// no pixels.
type Bitmap struct {
	X, Y, W, H int    // of the part, in pixels of the scaled image
	Pixels     []bool // [H,W]
}
