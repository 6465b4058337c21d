package featurize

import (
	"fmt"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// Settings are what the rows of a feature set depend on beside the images. A
// folder that was begun with other settings is not gone on with.
type Settings struct {
	Computation
	Layer      string `json:"layer"` // the value of the graph
	Pool       string `json:"pool"`  // "avg": maps are averaged; "none"
	Format     string `json:"format"`
	BatchNorms string `json:"bn,omitempty"`         // "adapt": with statistics of the images
	Statistics string `json:"statistics,omitempty"` // the digest of these
}

// Computation is what the output of a network depends on beside the images.
type Computation struct {
	Model string `json:"model"` // SHA-256
	Row   string `json:"row"`   // the shape of the output for one image: "[512]"
	Preparation
	Precision string `json:"precision"`
	BatchSize int    `json:"batch_size,string"`
	Library   string `json:"onnxruntime"` // its version
	Device    string `json:"device"`      // its kind: "cpu" or "cuda"
}

// Preparation is how images become the input of a network.
type Preparation struct {
	InputSize     string `json:"input_size"` // height x width: "224x224"
	Resize        int    `json:"resize,string"`
	Crop          string `json:"crop"`
	Interpolation string `json:"interpolation"`
	PreResize     int    `json:"pre_resize,string"`
	Range         string `json:"range"` // what 0 and 255 become: "[0 1]"
	Channels      string `json:"channels"`
	Clamp         string `json:"clamp"` // low and high: "[]" for none
	Normalization string `json:"normalization"`
	ExifRotate    bool   `json:"exif_rotate,string"`
	JPEGDecoder   string `json:"jpeg_decoder"` // its name and version
	Pixels        string `json:"pixels"`       // the version of package pixels
}

// PreparationOf is the preparation that a Spec asks for by a Transform made of it.
func PreparationOf(s onnx.Spec, t Transform) Preparation {
	decoder, version := pixels.JPEGDecoder()
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
		ExifRotate: t.Decode.ExifRotate, JPEGDecoder: decoder + " " + version, Pixels: pixels.Version,
	}
}
