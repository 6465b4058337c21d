// Package detect finds objects in images: detectors as ONNX models, and what turns
// their outputs into boxes, classes, scores and masks.
package detect

import (
	"context"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// Detection is an object found in an image.
type Detection struct {
	Box   box.Box   // in pixels of the image
	Class int       // index among the detector's classes
	Score float32   // in [0,1]
	Mask  *mask.RLE // of the image's size; nil: the detector has no masks
}

// Detector finds the objects in images. Detections come with falling scores.
type Detector interface {
	Detect(ctx context.Context, img *pixels.Image) ([]Detection, error)
	Classes() []onnx.DetectClass // an unused one has the name ""
}

// Network runs a model: it returns the values of its outputs for those of its inputs,
// both in their order. A Graph of package onnx/runtime is one.
type Network interface {
	Run(ctx context.Context, in ...onnx.Array) ([]onnx.Array, error)
}
