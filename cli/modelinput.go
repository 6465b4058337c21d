package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/onnx"
)

// inputOptions override what the model's file says of its input.
type inputOptions struct {
	Normalize     string `flag:"normalize"`
	InputSize     string `flag:"input-size"`
	Resize        string `flag:"resize"`
	Crop          string `flag:"crop"`
	Interpolation string `flag:"interpolation"`
	Range         string `flag:"range"`
	Channels      string `flag:"channels"`
	ForceInput    bool   `flag:"force-input"`

	rewrites bool // a new model gets the Spec, which may be another one
	anySize  bool // images are not brought to the size that the Spec says
}

func inputFlags() []cli.Flag {
	return []cli.Flag{
		text("normalize", "", "`HOW` pixels are normalised: spec, none, imagenet, or MEAN/STD as r,g,b/r,g,b"),
		text("input-size", "", "size `N` or HxW of the model's input"),
		text("resize", "", "size `N` of the shorter side before the centre crop"),
		text("crop", "", "`HOW` the input size is reached: center, or none to resize straight to it"),
		text("interpolation", "", "`FILTER` of the resize: bilinear or bicubic"),
		text("range", "", "`LOW..HIGH` of the values an ONNX file takes: 0..1, -1..1, 0..255 or -128..127"),
		text("channels", "", "`ORDER` of the channels an ONNX file takes: rgb or bgr, or grey for one channel"),
		toggle("force-input", "let these flags contradict what a model's Spec or graph says of its input"),
	}
}

func readInputOptions(c *cli.Context) (o inputOptions) {
	readOptions(c, &o)
	return o
}

// specOptions are inputOptions and other changes to images.
type specOptions struct {
	inputOptions
	PreResize  int  `flag:"pre-resize"`
	ExifRotate bool `flag:"exif-rotate"`
}

func specFlags() []cli.Flag {
	return append(inputFlags(),
		number("pre-resize", 0, "first resize to `N` x N, to take detail away; 0: do not"),
		toggle("exif-rotate", "turn images as their EXIF orientation says"))
}

// modelSpec is the Spec of the model's file, with assumptions where the file says
// nothing, and with the changes of the flags. name is what the user calls the model.
func (e *env) modelSpec(o inputOptions, name string, m *onnx.Model) (spec onnx.Spec, assumed bool, err error) {
	spec, guesses, err := m.Spec()
	var conflict *onnx.InputConflict
	if errors.As(err, &conflict) && o.Range != "" {
		err = nil // the flag settles it
	}
	if err != nil {
		return spec, false, err
	}
	said := spec
	if spec.NormalizeOutside && !spec.Normalized {
		e.note("%s was imported with --no-normalize: its graph does not normalise, rtx does it before", m.Name())
	}
	if err := o.override(&spec); err != nil {
		return spec, false, err
	}
	if !o.ForceInput {
		if err := o.contradicts(name, m, said, guesses == nil, conflict != nil); err != nil {
			return spec, false, err
		}
		if err := o.implausible(spec); err != nil {
			return spec, false, err
		}
	}
	if err := spec.Check(); err != nil {
		return spec, false, &usageError{msg: err.Error(), hint: "the flags --input-size, --resize and --crop must agree"}
	}
	if err := m.CheckSpec(spec); err != nil {
		return spec, false, err
	}
	guesses = slices.DeleteFunc(guesses, func(g string) bool { return o.settled(g) })
	if said.Mean != nil && spec.Mean == nil && o.Normalize == "" {
		e.warn("%s: the mean and std that go with %g..%g are left out, as --range is %s; --normalize MEAN/STD sets others", name, said.Range[0], said.Range[1], o.Range)
	}
	if len(guesses) > 0 {
		e.warn("%s has no Spec; assumed of its input: %s (flags override it)", m.Name(), strings.Join(guesses, "; "))
	}
	return spec, len(guesses) > 0, nil
}

// settled reports whether an option has replaced an assumption.
func (o inputOptions) settled(guess string) bool {
	if o.anySize && (strings.Contains(guess, "resized") || strings.HasPrefix(guess, "input size")) {
		return true
	}
	for word, values := range map[string][]string{
		"normalised": {o.Normalize, o.Range}, "input size": {o.InputSize}, "resized": {o.InputSize, o.Resize, o.Crop},
	} {
		if strings.Contains(guess, word) && slices.ContainsFunc(values, func(v string) bool { return v != "" && v != "spec" }) {
			return true
		}
	}
	return false
}

// override changes a Spec as the options say.
func (o inputOptions) override(s *onnx.Spec) error {
	bad := func(flag, value, expected string) error {
		return &usageError{msg: fmt.Sprintf("--%s is %q, expected %s", flag, value, expected)}
	}
	if v := o.InputSize; v != "" {
		h, w, square := strings.Cut(v, "x")
		if !square {
			w = h
		}
		height, err1 := strconv.Atoi(h)
		width, err2 := strconv.Atoi(w)
		if err1 != nil || err2 != nil || height < 1 || width < 1 {
			return bad("input-size", v, "N or HxW")
		}
		s.SetSize(height, width)
	}
	if v := o.Resize; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return bad("resize", v, "a size in pixels")
		}
		s.Resize, s.Crop = n, "center"
	}
	switch o.Crop {
	case "":
	case "none":
		if o.Resize != "" {
			return bad("crop", o.Crop, "center with --resize")
		}
		s.Crop, s.Resize = "none", 0
	case "center":
		if s.Crop = "center"; s.Resize == 0 {
			s.Resize = min(s.InputSize[0], s.InputSize[1])
		}
	default:
		return bad("crop", o.Crop, "center or none")
	}
	if v := o.Interpolation; v != "" {
		if v != "bilinear" && v != "bicubic" {
			return bad("interpolation", v, "bilinear or bicubic")
		}
		s.Interpolation = v
	}
	if v := o.Channels; v != "" {
		if v != "rgb" && v != "bgr" && v != "grey" {
			return bad("channels", v, "rgb, bgr or grey")
		}
		s.SetChannels(v)
	}
	if v := o.Range; v != "" {
		known := map[string][2]float64{"0..1": {0, 1}, "-1..1": {-1, 1}, "0..255": {0, 255}, "-128..127": {-128, 127}}
		r, ok := known[v]
		if !ok {
			return bad("range", v, "0..1, -1..1, 0..255 or -128..127")
		}
		if r != s.Range { // mean and std are of the other range
			s.Range, s.Mean, s.Std = r, nil, nil
		}
	}
	return normalize(o.Normalize, s)
}

// normalize sets mean and std, which a flag gives in the order red, green, blue.
func normalize(how string, s *onnx.Spec) error {
	switch how {
	case "", "spec":
		return nil
	case "none":
		s.Mean, s.Std = nil, nil
		return nil
	case "imagenet":
		s.Normalized = false
		s.SetMean(onnx.ImageNetMean, onnx.ImageNetStd)
		return nil
	}
	before, after, ok := strings.Cut(how, "/")
	mean, err1 := floats(before, s.ChannelCount())
	std, err2 := floats(after, s.ChannelCount())
	if !ok || err1 != nil || err2 != nil {
		return &usageError{msg: fmt.Sprintf("--normalize is %q, expected spec, none, imagenet or MEAN/STD, such as 0.5,0.5,0.5/0.25,0.25,0.25", how)}
	}
	s.Normalized = false
	s.SetMean(mean, std)
	return nil
}

// floats reads a number for each channel; one number is that of all.
func floats(s string, channels int) ([]float64, error) {
	var out []float64
	for _, f := range strings.Split(s, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(f), 64)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v is no number to calculate with", v)
		}
		out = append(out, v)
	}
	if len(out) == 1 {
		return slices.Repeat(out, channels), nil
	}
	if len(out) != 3 {
		return nil, fmt.Errorf("%d values", len(out))
	}
	return out, nil
}
