package onnx

import (
	"encoding/json"
	"fmt"
)

// Spec returns the Spec in the model's metadata. For a file without one it makes
// assumptions, which assumed lists in words: size and layout are those of the
// graph's input, 224x224 where it leaves the size open; range, normalisation and
// order of the channels are those of [Model.InputFinding]. Where the graph says
// nothing of them, pixels are normalised by ImageNet's mean and standard deviation;
// grey ones, of a network of one channel, are not. assumed is nil where the file
// has a Spec. Beside an [*InputConflict] it returns the Spec by the first of the
// nodes that contradict each other.
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
	finding, conflict := m.inputFinding(in)
	said := spec.setInput(in, finding)
	if u, ok := m.ultralytics(); ok {
		said = u.setInput(&spec, in, finding, said)
	} else if in.openSize {
		assumed = append(assumed, fmt.Sprintf("input size %dx%d", in.height, in.width))
	}
	assumed = append(assumed, said...)
	if spec.Crop == "center" {
		assumed = append(assumed, fmt.Sprintf("shorter side resized to %d, centre crop", spec.Resize))
	} else {
		assumed = append(assumed, fmt.Sprintf("images resized to %dx%d", spec.InputSize[0], spec.InputSize[1]))
	}
	if f, err := m.FeatureValue(); err == nil {
		spec.Feature = f
	}
	assumed = append(assumed, m.chosen(in, spec.Feature)...)
	return spec, append(assumed, "bilinear, "+channelNames[spec.Channels]+finding.swap), conflict
}

// chosen tells which of several inputs takes images, and which value the features are in
// a model of several outputs.
func (m *Model) chosen(in imageInput, feature string) (words []string) {
	var inputs, outputs []string
	for _, v := range m.Inputs() {
		inputs = append(inputs, v.Name)
	}
	for _, v := range m.Outputs() {
		outputs = append(outputs, v.Name)
	}
	if len(inputs) > 1 {
		words = append(words, fmt.Sprintf("images go to %q of the inputs %q", in.name, inputs))
	}
	if len(outputs) > 1 && feature != "" {
		words = append(words, fmt.Sprintf("features are %q, with the outputs %q", feature, outputs))
	}
	return words
}

// channelNames are the orders of channels, for people.
var channelNames = map[string]string{"rgb": "RGB", "bgr": "BGR", "grey": "grey"}

// setInput sets range, normalisation and channels as a graph tells them, and returns
// what was assumed of the normalisation, in words.
func (s *Spec) setInput(in imageInput, f InputFinding) (assumed []string) {
	if f.Channels != "" {
		s.Channels = f.Channels
	}
	s.Normalized, s.Mean, s.Std = f.Normalized, f.Mean, f.Std
	if f.Known() {
		s.Range = f.Range
	}
	if f.Normalized {
		s.NormNodes = f.normNodes
	}
	switch {
	case f.Known() || f.Normalized:
		return []string{f.Text}
	case in.channels == 1:
		assumed = []string{"grey input in [0,1], not normalised"}
	default:
		s.SetMean(ImageNetMean, ImageNetStd)
		assumed = []string{"input normalised by ImageNet's mean and std"}
	}
	if f.Text != "" {
		assumed = append(assumed, f.Text)
	}
	return assumed
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
