package onnx

import "fmt"

// ZeroPixel returns the pixel for which a value of the model is 0: a number for each
// channel of the image input, in its order. The value must depend on nothing but the
// input, by nodes that scale and shift each channel, such as those that normalise.
func (m *Model) ZeroPixel(value string) ([]float64, error) {
	in, err := m.imageInput()
	if err != nil {
		return nil, err
	}
	cut, err := m.Cut(value)
	if err != nil {
		return nil, err
	}
	c := cut.inputChain(in)
	if s := c.statistics; s != nil {
		c.multiply(s.scale)
		c.add(s.shift)
	}
	if c.value != value || len(c.order) != c.inputs {
		return nil, fmt.Errorf("onnx: %q: value %q is more than scaled and shifted channels of the input: %w", m.Name(), value, ErrFormat)
	}
	pixel := make([]float64, c.inputs)
	for i, at := range c.order {
		pixel[at] = -c.shift[i] / c.scale[i]
		if w := c.window; c.scale[i] == 0 || w != nil && (pixel[at] < w.low || pixel[at] > w.high) {
			return nil, fmt.Errorf("onnx: %q: no pixel makes value %q 0 in channel %d: %w", m.Name(), value, i, ErrFormat)
		}
	}
	return pixel, nil
}
