package featurize

import (
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// Transform says how an image file becomes a row of a batch: uint8 [H,W,3].
type Transform struct {
	Decode   pixels.DecodeConfig
	Geometry pixels.Geometry
}

// TransformOf returns the transform that a model's Spec asks for: its input size,
// crop and interpolation, and shades of grey for a network of one channel, in three
// equal bytes a pixel. Normalisation is part of the network.
func TransformOf(s onnx.Spec) Transform {
	g := pixels.Geometry{Height: s.InputSize[0], Width: s.InputSize[1], Interpolation: pixels.Bilinear}
	if s.Crop == "center" {
		g.CropCenter, g.Resize = true, s.Resize
	}
	if s.Interpolation == "bicubic" {
		g.Interpolation = pixels.Bicubic
	}
	return Transform{Decode: pixels.DecodeConfig{Grey: s.Channels == "grey"}, Geometry: g}
}

// size is the size of a row in bytes.
func (t Transform) size() int { return t.Geometry.Width * t.Geometry.Height * 3 }

func (t Transform) row(batch []uint8, i int) []uint8 {
	return batch[i*t.size() : (i+1)*t.size()]
}
