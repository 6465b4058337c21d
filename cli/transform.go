package cli

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/onnx"
)

// inputFlags are what a user may know better than the model's file.
func inputFlags() []cli.Flag {
	return []cli.Flag{
		text("normalize", "", "`HOW` pixels are normalised: spec, none, imagenet, or MEAN/STD as r,g,b/r,g,b"),
		text("input-size", "", "size `N` or HxW that the model gets"),
		text("resize", "", "size `N` of the shorter side before the centre crop"),
		text("crop", "", "`HOW` the input size is reached: center, or none to resize straight to it"),
		text("interpolation", "", "`FILTER` of the resize: bilinear or bicubic"),
		text("range", "", "`LOW..HIGH` of the values an ONNX file takes: 0..1, -1..1 or 0..255"),
		text("channels", "", "`ORDER` of the channels an ONNX file takes: rgb or bgr"),
	}
}

// specFlags are inputFlags, and what else may be done to images.
func specFlags() []cli.Flag {
	return append(inputFlags(),
		number("pre-resize", 0, "first resize to `N` x N, to take detail away; 0: do not"),
		toggle("exif-rotate", "turn images as their EXIF orientation says"))
}

// modelSpec is what the model's file says or leaves to be assumed, with the
// flags' changes.
func (e *env) modelSpec(c *cli.Context, m *onnx.Model) (spec onnx.Spec, assumed bool, err error) {
	spec, guesses, err := m.Spec()
	if err != nil {
		return spec, false, err
	}
	if guesses == nil && spec.Normalized {
		if err := normalisesItself(c, m, spec.Range); err != nil {
			return spec, false, err
		}
	}
	if err := override(c, &spec); err != nil {
		return spec, false, err
	}
	if err := spec.Check(); err != nil {
		return spec, false, &usageError{msg: err.Error(), hint: "the flags --input-size, --resize and --crop must agree"}
	}
	guesses = slices.DeleteFunc(guesses, func(g string) bool { return settled(c, g) })
	if len(guesses) > 0 {
		e.warn("%s says nothing of its input; assumed: %s (flags override it)", m.Path(), strings.Join(guesses, "; "))
	}
	return spec, len(guesses) > 0, nil
}

// normalisesItself refuses flags that change the values which a model that
// normalises its input itself gets.
func normalisesItself(c *cli.Context, m *onnx.Model, r [2]float64) error {
	for flag, may := range map[string][]string{"normalize": {"", "spec", "none"}, "range": {"", fmt.Sprintf("%g..%g", r[0], r[1])}} {
		if how := c.String(flag); !slices.Contains(may, how) {
			return &usageError{
				msg:  fmt.Sprintf("--%s is %q, and %q says that it normalises its input itself, from %g..%g: it would be done twice", flag, how, m.Path(), r[0], r[1]),
				hint: fmt.Sprintf("leave --%s out; rtx inspect shows what the model expects", flag),
			}
		}
	}
	return nil
}

// settled reports whether a flag has replaced an assumption.
func settled(c *cli.Context, guess string) bool {
	for word, flags := range map[string][]string{
		"normalised": {"normalize", "range"}, "input size": {"input-size"}, "resized": {"input-size", "resize", "crop"},
	} {
		if strings.Contains(guess, word) && slices.ContainsFunc(flags, func(f string) bool { return c.String(f) != "" && c.String(f) != "spec" }) {
			return true
		}
	}
	return false
}

func override(c *cli.Context, s *onnx.Spec) error {
	bad := func(flag, expected string) error {
		return &usageError{msg: fmt.Sprintf("--%s is %q, expected %s", flag, c.String(flag), expected)}
	}
	if v := c.String("input-size"); v != "" {
		h, w, square := strings.Cut(v, "x")
		if !square {
			w = h
		}
		height, err1 := strconv.Atoi(h)
		width, err2 := strconv.Atoi(w)
		if err1 != nil || err2 != nil || height < 1 || width < 1 {
			return bad("input-size", "N or HxW")
		}
		s.SetSize(height, width)
	}
	if v := c.String("resize"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return bad("resize", "a size in pixels")
		}
		s.Resize, s.Crop = n, "center"
	}
	switch c.String("crop") {
	case "":
	case "none":
		if c.String("resize") != "" {
			return bad("crop", "center with --resize")
		}
		s.Crop, s.Resize = "none", 0
	case "center":
		if s.Crop = "center"; s.Resize == 0 {
			s.Resize = min(s.InputSize[0], s.InputSize[1])
		}
	default:
		return bad("crop", "center or none")
	}
	if v := c.String("interpolation"); v != "" {
		if v != "bilinear" && v != "bicubic" {
			return bad("interpolation", "bilinear or bicubic")
		}
		s.Interpolation = v
	}
	if v := c.String("channels"); v != "" {
		if v != "rgb" && v != "bgr" {
			return bad("channels", "rgb or bgr")
		}
		s.Channels = v
	}
	if v := c.String("range"); v != "" {
		known := map[string][2]float64{"0..1": {0, 1}, "-1..1": {-1, 1}, "0..255": {0, 255}}
		r, ok := known[v]
		if !ok {
			return bad("range", "0..1, -1..1 or 0..255")
		}
		// A model of another range has no mean and std of [0,1] pixels.
		s.Range, s.Mean, s.Std = r, nil, nil
	}
	return normalize(c.String("normalize"), s, bad)
}

func normalize(how string, s *onnx.Spec, bad func(flag, expected string) error) error {
	switch how {
	case "", "spec":
		return nil
	case "none":
		s.Mean, s.Std = nil, nil
		return nil
	case "imagenet":
		s.Normalized, s.Mean, s.Std = false, onnx.ImageNetMean, onnx.ImageNetStd
		return nil
	}
	mean, std, ok := strings.Cut(how, "/")
	var err1, err2 error
	s.Normalized = false
	s.Mean, err1 = floats(mean)
	s.Std, err2 = floats(std)
	if !ok || err1 != nil || err2 != nil {
		return bad("normalize", "spec, none, imagenet or MEAN/STD, such as 0.5,0.5,0.5/0.25,0.25,0.25")
	}
	return nil
}

func floats(s string) ([]float64, error) {
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
		out = []float64{out[0], out[0], out[0]}
	}
	if len(out) != 3 {
		return nil, fmt.Errorf("%d values", len(out))
	}
	return out, nil
}
