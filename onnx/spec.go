package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// SpecKey is the metadata entry that holds the Spec.
const SpecKey = "rtx.spec"

// ErrNoImageInput says that a model has no input that takes images.
var ErrNoImageInput = errors.New("no image input")

// ErrInputs says that a model needs other inputs beside images.
var ErrInputs = errors.New("images are not enough")

// ErrSpec says that a Spec asks for images that the model does not take.
var ErrSpec = errors.New("the spec does not fit the model")

// Spec says what the weights of a model expect of their input, and where its
// features are. The zero value of a field means that nothing is known.
type Spec struct {
	Version       int        `json:"version"`       // 1
	InputSize     [2]int     `json:"input_size"`    // height, width
	Resize        int        `json:"resize"`        // target of the shorter side; 0 with crop "none"
	Crop          string     `json:"crop"`          // "center", or "none": resized to input_size, whatever the aspect
	Interpolation string     `json:"interpolation"` // "bilinear" or "bicubic", both antialiased
	Range         [2]float64 `json:"range"`         // what 0 and 255 become before normalisation
	Channels      string     `json:"channels"`      // "rgb" or "bgr"
	Layout        string     `json:"layout"`        // "nchw" or "nhwc"
	Mean          []float64  `json:"mean,omitempty"`
	Std           []float64  `json:"std,omitempty"`
	Clamp         []float64  `json:"clamp,omitempty"` // low, high; before normalisation
	Normalized    bool       `json:"normalized"`      // normalisation is in the graph
	NormNodes     []string   `json:"norm_nodes,omitempty"`

	Input       string            `json:"input"`
	Feature     string            `json:"feature,omitempty"`
	Stages      []Stage           `json:"stages,omitempty"` // shallow to deep
	Head        *Head             `json:"head,omitempty"`
	SourceNames map[string]string `json:"source_names,omitempty"` // ONNX name -> checkpoint name
	SourceTypes map[string]string `json:"source_types,omitempty"` // ONNX name -> checkpoint's type, where it is not "float"
	Extra       []Extra           `json:"extra,omitempty"`        // in the checkpoint but not in the graph
	Labels      []string          `json:"labels,omitempty"`
	Source      *Source           `json:"source,omitempty"`
	Arch        string            `json:"arch,omitempty"`
	Robustness  *Robustness       `json:"robustness,omitempty"`
	Parents     []string          `json:"parents,omitempty"` // SHA-256 of the model and the run it came from

	unknown map[string]json.RawMessage
}

// Stage is a feature map of a backbone.
type Stage struct {
	Value    string `json:"value"`
	Stride   int    `json:"stride"`
	Channels int    `json:"channels"`
}

// Head names the initializers of the last linear layer.
type Head struct {
	Weight string `json:"weight"`
	Bias   string `json:"bias,omitempty"`
}

// Extra is a small tensor of a checkpoint that the graph does not read.
type Extra struct {
	Name  string  `json:"name"`           // in the checkpoint
	DType string  `json:"dtype"`          // ONNX's name in lower case: "int64"
	Dims  []int64 `json:"dims,omitempty"` // none: one number
	At    int     `json:"at"`             // its place in the checkpoint, from 0 on
	Data  []byte  `json:"data"`           // the values, row-major and little-endian
}

// Source is the file that the weights were imported from.
type Source struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// Robustness is the adversary that the weights were trained against; eps is in
// units of [0,1] pixels.
type Robustness struct {
	Norm string  `json:"norm"`
	Eps  float64 `json:"eps"`
}

type plainSpec Spec

// UnmarshalJSON keeps keys it does not know for MarshalJSON.
func (s *Spec) UnmarshalJSON(data []byte) error {
	var p plainSpec
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	known, err := json.Marshal(fullSpec)
	if err != nil {
		return err
	}
	var names map[string]json.RawMessage
	if err := json.Unmarshal(known, &names); err != nil {
		return err
	}
	maps.DeleteFunc(all, func(k string, _ json.RawMessage) bool { _, ok := names[k]; return ok })
	*s = Spec(p)
	s.unknown = all
	return nil
}

// fullSpec has something in every field that is left out when empty.
var fullSpec = plainSpec{
	Mean: []float64{0}, Std: []float64{0}, Clamp: []float64{0}, NormNodes: []string{""}, Feature: "x",
	Stages: []Stage{{}}, Head: &Head{}, SourceNames: map[string]string{"": ""}, SourceTypes: map[string]string{"": ""}, Extra: []Extra{{}}, Labels: []string{""},
	Source: &Source{}, Arch: "x", Robustness: &Robustness{}, Parents: []string{""},
}

// MarshalJSON writes the known keys in order and then the unknown ones, sorted.
func (s Spec) MarshalJSON() ([]byte, error) {
	out, err := json.Marshal(plainSpec(s))
	if err != nil || len(s.unknown) == 0 {
		return out, err
	}
	out = out[:len(out)-1]
	for _, k := range slices.Sorted(maps.Keys(s.unknown)) {
		key, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		out = append(append(append(append(out, ','), key...), ':'), s.unknown[k]...)
	}
	return append(out, '}'), nil
}

// Check reports the first thing in a Spec that cannot be.
func (s Spec) Check() error {
	oneOf := func(key, v string, may ...string) error {
		if !slices.Contains(may, v) {
			return fmt.Errorf("spec: %s is %q, expected one of %q", key, v, may)
		}
		return nil
	}
	if s.Version != 1 {
		return fmt.Errorf("spec: version is %d, expected 1", s.Version)
	}
	if h, w := s.InputSize[0], s.InputSize[1]; h < 1 || w < 1 || h > 1<<14 || w > 1<<14 {
		return fmt.Errorf("spec: input_size is %dx%d", h, w)
	}
	if s.Crop == "center" && (s.Resize < 1 || s.Resize > 1<<14) {
		return fmt.Errorf("spec: resize is %d with crop %q", s.Resize, s.Crop)
	}
	for key, v := range map[string][]float64{"mean": s.Mean, "std": s.Std} {
		if len(v) != 0 && len(v) != 3 {
			return fmt.Errorf("spec: %s has %d values, expected 3", key, len(v))
		}
	}
	if slices.Contains(s.Std, 0) {
		return errors.New("spec: std has a zero")
	}
	if s.Range[0] == s.Range[1] {
		return fmt.Errorf("spec: range is %v, expected two numbers that differ", s.Range)
	}
	if len(s.Clamp) != 0 && (len(s.Clamp) != 2 || s.Clamp[0] >= s.Clamp[1]) {
		return fmt.Errorf("spec: clamp is %v, expected none, or a low and a high value", s.Clamp)
	}
	return errors.Join(oneOf("crop", s.Crop, "center", "none"), oneOf("interpolation", s.Interpolation, "bilinear", "bicubic"),
		oneOf("channels", s.Channels, "rgb", "bgr"), oneOf("layout", s.Layout, "nchw", "nhwc"))
}

// SetSize sets the input size and the resize that goes with it: images are
// brought to size directly up to 64 pixels, else by a centre crop from 256/224
// of the size.
func (s *Spec) SetSize(h, w int) {
	s.InputSize, s.Resize, s.Crop = [2]int{h, w}, 0, "none"
	if max(h, w) > 64 {
		s.Resize, s.Crop = int(math.Round(float64(min(h, w))*256/224)), "center"
	}
}

// ImageNet's channel statistics, of images in [0,1].
var (
	ImageNetMean = []float64{0.485, 0.456, 0.406}
	ImageNetStd  = []float64{0.229, 0.224, 0.225}
)

// Spec returns what the file says of itself. Where it says nothing, size and
// layout come from the graph; an operator with constants per channel directly
// on the input, or on it transposed, means that normalisation is in the graph and the input is
// [0,1]; otherwise ImageNet's statistics are assumed. assumed tells what was,
// in words; it is nil when the file has a Spec.
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
	if in.dynamic {
		assumed = append(assumed, fmt.Sprintf("input size %dx%d", in.height, in.width))
	}
	if nodes := m.normalisation(in); len(nodes) > 0 {
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

// WithSpec returns the model with s as its Spec.
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

// Metadata returns a metadata entry, "" where there is none.
func (m *Model) Metadata(key string) string {
	for _, e := range m.Proto.MetadataProps {
		if e.Key == key {
			return e.Value
		}
	}
	return ""
}

// WithMetadata returns the model with one entry set.
func (m *Model) WithMetadata(key, value string) *Model {
	c := m.shallow()
	c.Proto.MetadataProps = slices.DeleteFunc(slices.Clone(c.Proto.MetadataProps), func(e *pb.StringStringEntryProto) bool { return e.Key == key })
	c.Proto.MetadataProps = append(c.Proto.MetadataProps, &pb.StringStringEntryProto{Key: key, Value: value})
	return c
}

// shallow copies the model and its graph, and shares what they hold.
func (m *Model) shallow() *Model {
	c := *m
	c.Proto = shallowModel(m.Proto)
	c.Proto.Graph = shallowGraph(m.Proto.Graph)
	return &c
}
