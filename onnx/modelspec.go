package onnx

import (
	"encoding/json"
	"fmt"
)

// Spec returns the Spec in the model's metadata. For a file without one it makes
// assumptions, which assumed lists in words: size and layout are those of the
// graph's input, 224x224 where it leaves the size open. Where operators with a
// constant for each channel follow the input, the graph normalises it, and takes
// pixels in [0,1]; otherwise ImageNet's mean and standard deviation are assumed.
// assumed is nil where the file has a Spec.
func (m *Model) Spec() (spec Spec, assumed []string, err error) {
	if text := m.Metadata(SpecKey); text != "" {
		if err := json.Unmarshal([]byte(text), &spec); err != nil {
			return spec, nil, fmt.Errorf("onnx: metadata %q: %w: %w", SpecKey, err, ErrFormat)
		}
		if err := spec.Check(); err != nil {
			return spec, nil, fmt.Errorf("onnx: metadata %q: %w: %w", SpecKey, err, ErrFormat)
		}
		return spec, nil, nil
	}
	spec = Spec{Version: 1, Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb"}
	in, err := m.imageInput()
	if err != nil {
		return spec, nil, err
	}
	spec.Input, spec.Layout = in.name, in.layout
	spec.SetSize(in.height, in.width)
	if in.openSize {
		assumed = append(assumed, fmt.Sprintf("input size %dx%d", in.height, in.width))
	}
	if nodes := m.normalization(in); len(nodes) > 0 {
		spec.Normalized, spec.NormNodes = true, nodes
		assumed = append(assumed, "input in [0,1], normalised inside the network")
	} else {
		spec.Mean, spec.Std = ImageNetMean, ImageNetStd
		assumed = append(assumed, "input normalised by ImageNet's mean and std")
	}
	if spec.Crop == "center" {
		assumed = append(assumed, fmt.Sprintf("shorter side resized to %d, centre crop", spec.Resize))
	} else {
		assumed = append(assumed, fmt.Sprintf("images resized to %dx%d", in.height, in.width))
	}
	if f, err := m.FeatureValue(); err == nil {
		spec.Feature = f
	}
	return spec, append(assumed, "bilinear, RGB"), nil
}

// WithSpec returns the model with another Spec.
func (m *Model) WithSpec(s Spec) (*Model, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return m.WithMetadata(SpecKey, string(text)), nil
}
