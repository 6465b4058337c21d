package onnx

import (
	"fmt"
	"slices"
)

// Feature names the value that the features are: the Spec's, else that of
// [Model.FeatureValue].
func (m *Model) Feature(spec Spec) (string, error) {
	if spec.Feature != "" {
		return spec.Feature, nil
	}
	if spec.Detect != nil {
		return "", fmt.Errorf("onnx: %q is %s: %w", m.Name(), m.Detector(), ErrDetector)
	}
	return m.FeatureValue()
}

// FeatureValue names the value that the features are, by the graph alone: the
// output called "features", else the input of the linear layer before an output,
// else, in a model without such a layer, the one output.
//
// A linear layer is a matrix product with a constant weight, or a convolution of
// 1x1: over pooled values, or, as in SqueezeNet, one whose result is pooled. The
// features of the latter are the map [N,C,H,W] that the convolution reads, whose
// mean over H and W is what a layer after the pooling would read.
func (m *Model) FeatureValue() (string, error) {
	outputs := m.Outputs()
	if len(outputs) == 0 {
		return "", fmt.Errorf("onnx: the model has no output: %w", ErrFormat)
	}
	var names, features []string
	classes, _ := m.Classes()
	t := m.tracer()
	for _, o := range outputs {
		if o.Name == "features" {
			return o.Name, nil
		}
		names = append(names, o.Name)
		if h, ok := m.headOf(o.Name, len(classes), t); ok && !slices.Contains(features, h.input) {
			features = append(features, h.input)
		}
	}
	switch {
	case len(features) == 1:
		return features[0], nil
	case len(features) == 0 && len(names) == 1:
		return names[0], nil
	case len(features) == 0:
		features = names
	}
	return "", fmt.Errorf("onnx: cannot tell which value holds the features, candidates are %q", features)
}

// heads are the linear layers before the outputs.
func (m *Model) heads() []head {
	var found []head
	classes, _ := m.Classes()
	t := m.tracer()
	for _, o := range m.Outputs() {
		if h, ok := m.headOf(o.Name, len(classes), t); ok {
			found = append(found, h)
		}
	}
	return found
}

// AreScores tells why a value of so many columns is probably not features but the
// scores of classes: "" where nothing says so.
func (m *Model) AreScores(value string, columns int) string {
	t := m.tracer()
	names, _ := m.Classes()
	outputs := m.Outputs()
	isOutput := slices.ContainsFunc(outputs, func(o Value) bool { return o.Name == value })
	if !isOutput || value == "features" {
		return ""
	}
	end := t.tail(value)
	switch {
	case end.activation != NoActivation:
		return fmt.Sprintf("it ends with a %s", end.activation)
	case end.decides != "":
		return fmt.Sprintf("it ends with %s", end.decides)
	case len(names) == columns && columns > 0:
		return fmt.Sprintf("the model names %d classes", columns)
	case slices.Contains(imageNetClasses, columns):
		return fmt.Sprintf("ImageNet has %d classes", columns)
	}
	return ""
}
