package onnx

import (
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// WithPreprocess returns the model with the preprocessing that its Spec asks for
// in the graph. Its input is "images", uint8 [N,H,W,3] in RGB; resizing and
// cropping stay outside.
func (m *Model) WithPreprocess(spec Spec) (*Model, error) {
	var values []string
	shapes := map[string]*pb.ValueInfoProto{}
	for _, o := range m.Proto.Graph.Output {
		values = append(values, o.Name)
		shapes[o.Name] = o
	}
	c, err := m.ForImages(spec, ImageConfig{Outputs: values})
	if err != nil {
		return nil, err
	}
	for i, o := range c.Proto.Graph.Output {
		if s := shapes[strings.TrimSuffix(o.Name, "/float")]; s != nil && s.Name == o.Name {
			c.Proto.Graph.Output[i] = s
		}
	}
	if in := c.Proto.Graph.Input[0].Name; in != "images" {
		if c, err = c.Rename(map[string]string{"images": in, in: "images"}); err != nil {
			return nil, err
		}
	}
	c.Proto.MetadataProps = slices.Clone(m.Proto.MetadataProps)
	spec.Input, spec.Layout, spec.Channels = "images", "nhwc", "rgb"
	spec.Range, spec.Normalized, spec.NormNodes, spec.NormalizeOutside = [2]float64{0, 255}, true, nil, false
	spec.Mean, spec.Std, spec.Clamp = nil, nil, nil
	return c.WithSpec(spec)
}

// Adopt returns the model with the names and versions of those that rtx writes, as
// far as that is possible: the input "images", the outputs "logits", where it is a
// classifier, and "features", and opset 17.
func (m *Model) Adopt() (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	c, err := m.withInputName("images", &spec)
	if err != nil {
		return nil, err
	}
	var outputs []Output
	if with, logits, err := c.withLogits(); err == nil {
		c = with
		outputs = append(outputs, Output{"logits", logits})
	}
	feature, err := c.Feature(spec)
	if err != nil {
		return nil, err
	}
	if len(outputs) == 0 || outputs[0].Value != feature {
		outputs = append(outputs, Output{"features", feature})
	}
	if c, err = c.Expose(outputs, false); err != nil {
		return nil, err
	}
	if same, err := c.WithOpset(Opset); err == nil {
		c = same
	}
	return c, nil
}

// withInputName renames the image input, and gives another value of that name a
// fresh one. Where it renames anything, the Spec is changed and set.
func (m *Model) withInputName(name string, spec *Spec) (*Model, error) {
	in, err := m.imageInput()
	if err != nil || in.name == name {
		return m, err
	}
	taken := map[string]bool{}
	names(m.Proto.Graph, taken)
	to := map[string]string{in.name: name}
	if taken[name] {
		to[name] = freshName(taken, name)
	}
	c, err := m.Rename(to)
	if err != nil {
		return nil, err
	}
	spec.Input = name
	return c.WithSpec(*spec)
}
