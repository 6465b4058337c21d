package onnx

// WithOutputs returns the model with other outputs, by their names: "logits" and
// "features" are those of every model, "c2" to "c5" the levels of its feature
// pyramid (Spec.Pyramid), and other names are values of the graph. If all of them
// are levels of the pyramid, the model takes images of any size. A value that the
// graph does not have is a *ValueError.
func (m *Model) WithOutputs(names ...string) (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	levels, anySize := spec.Pyramid(), true
	outputs := make([]Output, len(names))
	for i, name := range names {
		value := name
		switch {
		case levels[name] != "":
			value = levels[name]
		case name == "logits":
			if value, _, err = m.LogitsValue(); err != nil {
				return nil, err
			}
		case name == "features" && spec.Feature != "":
			value = spec.Feature
		}
		anySize = anySize && levels[name] != ""
		outputs[i] = Output{Name: name, Value: value}
	}
	return m.Expose(outputs, anySize)
}
