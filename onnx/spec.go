package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
)

// SpecKey is the metadata entry that holds the Spec.
const SpecKey = "rtx.spec"

// ErrSpec says that a Spec asks for images that the model does not take.
var ErrSpec = errors.New("the spec does not fit the model")

// Spec says what the weights of a model expect of their input, and where the
// model's features are. A field of value zero is not known.
type Spec struct {
	Version       int        `json:"version"`        // 1
	InputSize     [2]int     `json:"input_size"`     // height, width
	Resize        int        `json:"resize"`         // size of the shorter side before the crop; 0 with crop "none"
	Crop          string     `json:"crop"`           // "center", or "none": resized to input_size, whatever the aspect ratio
	Interpolation string     `json:"interpolation"`  // "bilinear" or "bicubic", both antialiased
	Range         [2]float64 `json:"range"`          // the values that 0 and 255 become before normalisation
	Channels      string     `json:"channels"`       // "rgb", "bgr" or "grey"
	Layout        string     `json:"layout"`         // "nchw" or "nhwc"
	Mean          []float64  `json:"mean,omitempty"` // in the order of Channels, as Std
	Std           []float64  `json:"std,omitempty"`
	Clamp         []float64  `json:"clamp,omitempty"`      // low, high; applied before normalisation
	Normalized    bool       `json:"normalized"`           // the graph normalises its input
	NormNodes     []string   `json:"norm_nodes,omitempty"` // by these nodes
	// NormalizeOutside says that somebody asked for a graph without normalisation:
	// what is made of the model leaves it to whoever feeds it, too. See
	// [Model.Normalize].
	NormalizeOutside bool `json:"normalize_outside,omitempty"`

	Input       string            `json:"input"`
	Feature     string            `json:"feature,omitempty"`
	Stages      []Stage           `json:"stages,omitempty"` // shallow to deep
	Head        *Head             `json:"head,omitempty"`
	SourceNames map[string]string `json:"source_names,omitempty"` // ONNX name -> checkpoint name
	SourceTypes map[string]string `json:"source_types,omitempty"` // ONNX name -> checkpoint's type, where it is not "float"
	Extra       []Extra           `json:"extra,omitempty"`        // in the checkpoint but not in the graph
	Labels      []string          `json:"labels,omitempty"`
	Scores      *Scores           `json:"scores,omitempty"` // what makes probabilities of the logits; nil: softmax
	Detect      *Detect           `json:"detect,omitempty"` // of an object detector
	Source      *Source           `json:"source,omitempty"`
	Arch        string            `json:"arch,omitempty"`
	Robustness  *Robustness       `json:"robustness,omitempty"`
	Parents     []string          `json:"parents,omitempty"` // SHA-256 of the model and the run it came from

	unknown map[string]json.RawMessage
}

// Stage is a feature map of a backbone: the last of its size.
type Stage struct {
	Value    string `json:"value"`
	Stride   int    `json:"stride"`
	Channels int    `json:"channels"`
}

// Head names the weight and bias of the last linear layer, which are
// initializers.
type Head struct {
	Weight string `json:"weight"`
	Bias   string `json:"bias,omitempty"`
}

// Extra is a small tensor of a checkpoint that the graph does not use, such as a
// counter.
type Extra struct {
	Name  string  `json:"name"`           // in the checkpoint
	DType string  `json:"dtype"`          // ONNX's name in lower case: "int64"
	Dims  []int64 `json:"dims,omitempty"` // none: a single number
	At    int     `json:"at"`             // its index in the checkpoint, from 0 on
	Data  []byte  `json:"data"`           // the values, row-major and little-endian
}

// Source is the file that the weights were imported from.
type Source struct {
	File     string `json:"file"`
	SHA256   string `json:"sha256"`
	Network  string `json:"network,omitempty"`  // which one, where the file holds several: a key, and a prefix of names
	LeftOut  int    `json:"left_out,omitempty"` // number of tensors beside the network
	Computed int    `json:"computed,omitempty"` // number of weights that were computed of several tensors each
}

// Robustness is the threat model of adversarial training: the norm, "l2" or "linf",
// and the radius in units of [0,1] pixels. Norm is "" where the weights are known to
// be robust only by the accuracy under attack that their checkpoint stores.
type Robustness struct {
	Norm     string  `json:"norm"`
	Eps      float64 `json:"eps"`
	Accuracy float64 `json:"accuracy,omitempty"` // under attack, a fraction; 0: not known
}

type plainSpec Spec

// UnmarshalJSON keeps unknown keys, which MarshalJSON writes again.
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

// fullSpec has a value in every field that is omitted when empty.
var fullSpec = plainSpec{
	Mean: []float64{0}, Std: []float64{0}, Clamp: []float64{0}, NormNodes: []string{""}, NormalizeOutside: true, Feature: "x",
	Stages: []Stage{{}}, Head: &Head{}, SourceNames: map[string]string{"": ""}, SourceTypes: map[string]string{"": ""}, Extra: []Extra{{}}, Labels: []string{""},
	Source: &Source{}, Arch: "x", Robustness: &Robustness{}, Parents: []string{""}, Scores: &Scores{}, Detect: &Detect{},
}

// MarshalJSON writes the known keys in order, then the unknown ones, sorted.
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

// Check returns the first fault of a Spec.
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
	for _, c := range []struct {
		key    string
		values []float64
	}{{"mean", s.Mean}, {"std", s.Std}} {
		if n := s.ChannelCount(); len(c.values) != 0 && len(c.values) != n {
			return fmt.Errorf("spec: %s has %d values, expected %d", c.key, len(c.values), n)
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
		oneOf("channels", s.Channels, "rgb", "bgr", "grey"), oneOf("layout", s.Layout, "nchw", "nhwc"), s.Scores.check())
}

// ChannelCount is the number of channels of the model's input, and of the values of
// Mean and Std: 1 for grey images, else 3.
func (s Spec) ChannelCount() int {
	if s.Channels == "grey" {
		return 1
	}
	return 3
}

// SetSize sets the input size, and the usual resize and crop for it: up to 64
// pixels, images are resized to that size; above, their shorter side is resized to
// 256/224 of it, and the centre is cropped.
func (s *Spec) SetSize(h, w int) {
	s.InputSize, s.Resize, s.Crop = [2]int{h, w}, 0, "none"
	if max(h, w) > 64 {
		s.Resize, s.Crop = int(math.Round(float64(min(h, w))*256/224)), "center"
	}
}

// SetMean sets mean and standard deviation, which are given in the order red, green,
// blue whatever the order of the Spec's channels.
func (s *Spec) SetMean(mean, std []float64) {
	s.Mean, s.Std = slices.Clone(mean), slices.Clone(std)
	if s.Channels == "bgr" {
		slices.Reverse(s.Mean)
		slices.Reverse(s.Std)
	}
}

// SetChannels changes the order of the channels. Mean and standard deviation remain
// those of their colours.
func (s *Spec) SetChannels(order string) {
	mean, std := slices.Clone(s.Mean), slices.Clone(s.Std)
	if s.Channels == "bgr" { // to red, green, blue
		slices.Reverse(mean)
		slices.Reverse(std)
	}
	s.Channels = order
	s.SetMean(mean, std)
}

// Mean and standard deviation of ImageNet's channels, red first, for images in [0,1].
var (
	ImageNetMean = []float64{0.485, 0.456, 0.406}
	ImageNetStd  = []float64{0.229, 0.224, 0.225}
)

// Pyramid maps the names that detectors give to the levels of a feature pyramid to
// values of the graph: cK is the deepest stage of stride 2^K (Lin et al. 2017,
// section 3).
func (s Spec) Pyramid() map[string]string {
	levels := map[string]string{}
	for _, t := range s.Stages {
		if t.Stride > 0 && t.Stride&(t.Stride-1) == 0 {
			levels[fmt.Sprintf("c%d", bits.TrailingZeros(uint(t.Stride)))] = t.Value
		}
	}
	return levels
}

// keep returns the Spec without what a graph no longer has.
func (s Spec) keep(m *Model) Spec {
	has := map[string]bool{}
	names(m.Proto.Graph, has)
	if !has[s.Feature] {
		s.Feature = ""
	}
	s.Stages = slices.DeleteFunc(slices.Clone(s.Stages), func(t Stage) bool { return !has[t.Value] })
	if s.Head != nil && !has[s.Head.Weight] {
		s.Head = nil
	}
	return s
}

// renamed returns the Spec with values under their new names.
func (s Spec) renamed(names map[string]string) Spec {
	rename := func(v *string) {
		if n := names[*v]; n != "" {
			*v = n
		}
	}
	rename(&s.Feature)
	s.Stages = slices.Clone(s.Stages)
	for i := range s.Stages {
		rename(&s.Stages[i].Value)
	}
	return s
}
