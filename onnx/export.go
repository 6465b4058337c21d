package onnx

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Output names a value of a graph as an output.
type Output struct{ Name, Value string }

// Expose returns the model with these outputs, and its Spec with the names
// that their values then have. Outputs keep the shapes that the model says
// they have; feature maps of the Spec's stages are [N,C,H,W] of open H and W.
// Where no output needs one image size, with open set, the input's is left
// open, too.
func (m *Model) Expose(outputs []Output, open bool) (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	renamed, values := map[string]string{}, make([]string, len(outputs))
	for i, o := range outputs {
		if renamed[o.Value] != "" {
			return nil, fmt.Errorf("onnx: outputs %q and %q are the same value", renamed[o.Value], o.Name)
		}
		if slices.ContainsFunc(outputs[:i], func(p Output) bool { return p.Name == o.Name }) {
			return nil, fmt.Errorf("onnx: output %q is named twice", o.Name)
		}
		renamed[o.Value], values[i] = o.Name, o.Value
	}
	c, err := m.Cut(values...)
	if err != nil {
		return nil, err
	}
	// A name that an output wants may be that of an inner value.
	taken := map[string]bool{}
	names(c.Proto.Graph, taken)
	for value, name := range maps.Clone(renamed) {
		if value != name && taken[name] && renamed[name] == "" {
			renamed[name] = freshName(taken, name)
		}
	}
	if c, err = c.Rename(renamed); err != nil {
		return nil, err
	}
	rename := func(v *string) {
		if n := renamed[*v]; n != "" {
			*v = n
		}
	}
	rename(&spec.Feature)
	spec.Stages = slices.Clone(spec.Stages)
	for i := range spec.Stages {
		rename(&spec.Stages[i].Value)
	}
	g := c.Proto.Graph
	for i, o := range g.Output {
		at := slices.IndexFunc(spec.Stages, func(s Stage) bool { return s.Value == o.Name })
		if at >= 0 {
			g.Output[i] = NewValue(o.Name, pb.TensorProto_FLOAT, Named("N"), Sized(spec.Stages[at].Channels), Named(o.Name+"_h"), Named(o.Name+"_w"))
		}
	}
	spec.keep(c)
	if open {
		c.openSize()
	}
	return c.WithSpec(spec)
}

// keep leaves out of a Spec what the graph no longer has.
func (s *Spec) keep(m *Model) {
	has := map[string]bool{}
	names(m.Proto.Graph, has)
	if !has[s.Feature] {
		s.Feature = ""
	}
	s.Stages = slices.DeleteFunc(s.Stages, func(t Stage) bool { return !has[t.Value] })
	if s.Head != nil && !has[s.Head.Weight] {
		s.Head = nil
	}
}

// openSize leaves the height and width of the image input open.
func (m *Model) openSize() {
	in, err := m.imageInput()
	if err != nil {
		return
	}
	dims := []*pb.TensorShapeProto_Dimension{Named("N"), Sized(3), Named("H"), Named("W")}
	if in.layout == "nhwc" {
		dims = []*pb.TensorShapeProto_Dimension{Named("N"), Named("H"), Named("W"), Sized(3)}
	}
	g := m.Proto.Graph
	g.Input = slices.Clone(g.Input)
	for i, v := range g.Input {
		if v.Name == in.name {
			g.Input[i] = NewValue(v.Name, in.dtype, dims...)
		}
	}
	g.ValueInfo = nil
}

// Pyramid names the stages of a Spec as detectors do: cK is the deepest of
// stride 2^K (Lin et al. 2017, section 3).
func (s Spec) Pyramid() map[string]string {
	levels := map[string]string{}
	for _, t := range s.Stages {
		if t.Stride > 0 && t.Stride&(t.Stride-1) == 0 {
			levels[fmt.Sprintf("c%d", bits.TrailingZeros(uint(t.Stride)))] = t.Value
		}
	}
	return levels
}

// WithPreprocess returns the model with what its Spec asks of pixels in the
// graph: the input is "images", uint8 [N,H,W,3] in RGB. Resizing and cropping
// stay outside.
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
	spec.Range, spec.Normalized, spec.NormNodes = [2]float64{0, 255}, true, nil
	spec.Mean, spec.Std, spec.Clamp = nil, nil, nil
	return c.WithSpec(spec)
}

// Adopt returns the model with the names and versions of those that rtx
// writes, as far as it can: the input "images", the outputs "logits", where
// there is a classifier, and "features", and opset 17.
func (m *Model) Adopt() (*Model, error) {
	spec, _, err := m.Spec()
	if err != nil {
		return nil, err
	}
	in, err := m.imageInput()
	if err != nil {
		return nil, err
	}
	c := m
	if in.name != "images" {
		taken := map[string]bool{}
		names(m.Proto.Graph, taken)
		to := map[string]string{in.name: "images"}
		if taken["images"] {
			to["images"] = freshName(taken, "images")
		}
		if c, err = m.Rename(to); err != nil {
			return nil, err
		}
		spec.Input = "images"
		if c, err = c.WithSpec(spec); err != nil {
			return nil, err
		}
	}
	var outputs []Output
	if logits, _, err := c.LogitsValue(); err == nil {
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

// SameButWeights tells whether two models have the same graph and metadata, and
// weights of the same names and shapes.
func (m *Model) SameButWeights(o *Model) bool {
	a, b := m.Proto, o.Proto
	return m.Opset() == o.Opset() &&
		slices.EqualFunc(a.Graph.Node, b.Graph.Node, func(x, y *pb.NodeProto) bool { return proto.Equal(x, y) }) &&
		slices.EqualFunc(m.Inputs(), o.Inputs(), Value.equal) && slices.EqualFunc(m.Outputs(), o.Outputs(), Value.equal) &&
		slices.EqualFunc(a.MetadataProps, b.MetadataProps, func(x, y *pb.StringStringEntryProto) bool { return proto.Equal(x, y) }) &&
		slices.EqualFunc(a.Graph.Initializer, b.Graph.Initializer, func(x, y *pb.TensorProto) bool {
			return x.Name == y.Name && x.DataType == y.DataType && slices.Equal(x.Dims, y.Dims)
		})
}

func (v Value) equal(o Value) bool { return v.String() == o.String() }
