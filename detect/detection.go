// Package detect finds objects in images: detectors as ONNX models, and what turns
// their outputs into boxes, classes, scores and masks.
package detect

import (
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
)

// Detection is an object found in an image.
type Detection struct {
	Box   box.Box   // in pixels of the image
	Class int       // index among the detector's classes
	Score float32   // in [0,1]
	Mask  *mask.RLE // of the image's size; nil: the detector has no masks
}
