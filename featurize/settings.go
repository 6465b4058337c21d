package featurize

import (
	"fmt"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// Settings are what the features of a set depend on beside the images. A job does not
// continue a folder that was begun with other settings. They are recorded and compared
// as JSON; empty ones are compared like any other.
type Settings struct {
	Computation
	Layer      string `json:"layer"` // the value of the graph that the features are
	Pool       string `json:"pool"`  // "avg": feature maps are averaged over space; "none"
	Format     string `json:"format"`
	BatchNorms string `json:"bn,omitempty"`         // "adapt": with the statistics of the images
	Statistics string `json:"statistics,omitempty"` // digest of these
}

// Computation is what the output of a network depends on beside the images.
type Computation struct {
	Model string `json:"model"` // SHA-256 of the file
	Row   string `json:"row"`   // shape of the output for an image: "[512]"
	Preparation
	Precision string `json:"precision"` // "fp32", "tf32" or "fp16"
	BatchSize int    `json:"batch_size,string"`
	Library   string `json:"onnxruntime"` // version of the library
	Device    string `json:"device"`      // kind of device: "cpu" or "cuda"
}

// Preparation is how image files become the input of a network.
type Preparation struct {
	InputSize     string `json:"input_size"` // height x width: "224x224"
	Resize        int    `json:"resize,string"`
	Crop          string `json:"crop"`
	Interpolation string `json:"interpolation"`
	PreResize     int    `json:"pre_resize,string"`
	Range         string `json:"range"` // the values of 0 and 255: "[0 1]"
	Channels      string `json:"channels"`
	Clamp         string `json:"clamp"` // low and high; "[]" for none
	Normalization string `json:"normalization"`
	ExifRotate    bool   `json:"exif_rotate,string"`
	JPEGDecoder   string `json:"jpeg_decoder"` // pixels.JPEGDecoderKey
	Pixels        string `json:"pixels"`       // version of package pixels
}

// PreparationOf returns the preparation by a model's Spec and the transform that was
// made of it, with the decoder of this process.
func PreparationOf(s onnx.Spec, t Transform) Preparation {
	normalization := "none"
	switch {
	case s.Normalized:
		normalization = "in the network"
	case len(s.Mean) > 0 || len(s.Std) > 0:
		normalization = fmt.Sprintf("mean %v, std %v", s.Mean, s.Std)
	}
	return Preparation{
		InputSize: fmt.Sprintf("%dx%d", s.InputSize[0], s.InputSize[1]), Resize: s.Resize, Crop: s.Crop,
		Interpolation: s.Interpolation, PreResize: t.Geometry.PreResize, Range: fmt.Sprint(s.Range),
		Channels: s.Channels, Clamp: fmt.Sprint(s.Clamp), Normalization: normalization,
		ExifRotate: t.Decode.ExifRotate, JPEGDecoder: pixels.JPEGDecoderKey(), Pixels: pixels.Version,
	}
}
