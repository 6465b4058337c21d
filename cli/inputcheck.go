package cli

import (
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
)

// pixelFlag is a flag that says what pixels a network takes, and nothing else.
type pixelFlag struct {
	name, value string
	alone       inputOptions
}

// pixelFlags are those that are given.
func (o inputOptions) pixelFlags() []pixelFlag {
	flags := []pixelFlag{
		{"normalize", o.Normalize, inputOptions{Normalize: o.Normalize}},
		{"range", o.Range, inputOptions{Range: o.Range}},
		{"channels", o.Channels, inputOptions{Channels: o.Channels}},
	}
	return slices.DeleteFunc(flags, func(f pixelFlag) bool { return f.value == "" })
}

// pixelText is those that are given, for settings that are compared and told.
func (o inputOptions) pixelText() string {
	var given []string
	for _, f := range o.pixelFlags() {
		given = append(given, "--"+f.name+" "+f.value)
	}
	return fmt.Sprint(given)
}

// contradicts refuses flags that say of a model's pixels something else than the model
// does: its own Spec, or the constants in its graph. said is what it says, and settled
// that a flag decides between nodes that contradict each other.
func (o inputOptions) contradicts(name string, m *onnx.Model, said onnx.Spec, own, settled bool) error {
	source := "the Spec"
	if !own {
		finding, err := m.InputFinding()
		if settled || err != nil || !finding.Known() {
			return nil
		}
		source = "the graph"
	}
	for _, f := range o.pixelFlags() {
		if f.name == "channels" && !own { // the order is only guessed from a graph
			continue
		}
		spec := said
		if err := f.alone.override(&spec); err != nil {
			return err
		}
		if samePixels(spec, said) {
			continue
		}
		msg := fmt.Sprintf("--%s is %q, and %s of %q says that it takes %s", f.name, f.value, source, name, pixelsText(said))
		hint := fmt.Sprintf("leave --%s out; --force-input overrides what the model says", f.name)
		if name == m.Path() { // an ONNX file
			hint = fmt.Sprintf("leave --%s out; rtx import %s -o NEW.onnx --%s %s writes it into a model of its own, --force-input overrides it here", f.name, quoted(name), f.name, quoted(f.value))
		}
		switch {
		case said.Normalized && f.name != "channels":
			msg += ", and normalises its input itself: it would be done twice"
			hint = fmt.Sprintf("leave --%s out; rtx inspect shows what the model expects, and --force-input overrides it", f.name)
		case o.rewrites:
			continue
		}
		return &usageError{msg: msg, hint: hint}
	}
	return nil
}

// samePixels tells whether two Specs ask for the same numbers, up to the rounding of
// a mean and std that a checkpoint holds in float32.
func samePixels(a, b onnx.Spec) bool {
	near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-6*max(math.Abs(x), math.Abs(y)) }
	return a.Range == b.Range && a.Normalized == b.Normalized && a.Channels == b.Channels && slices.EqualFunc(a.Mean, b.Mean, near) && slices.EqualFunc(a.Std, b.Std, near)
}

// pixelsText says what pixels a Spec asks for: "rgb in 0..1, with mean ...".
func pixelsText(s onnx.Spec) string {
	text := fmt.Sprintf("%s in %g..%g", s.Channels, s.Range[0], s.Range[1])
	if len(s.Mean) > 0 || len(s.Std) > 0 {
		text += fmt.Sprintf(", normalised by mean %.6g and std %.6g", s.Mean, s.Std)
	}
	return text
}

// implausible refuses a mean and std of another range than the flags or the model say.
func (o inputOptions) implausible(s onnx.Spec) error {
	if o.Range == "" && o.Normalize == "" || s.Normalized || len(s.Mean) == 0 {
		return nil
	}
	low, high := slices.Min(s.Mean), slices.Max(s.Mean)
	small := s.Range[1]-s.Range[0] == 255 && low > 0 && high <= 1 && len(s.Std) > 0 && slices.Max(s.Std) <= 1
	named := o.Normalize == "imagenet" && s.Range != [2]float64{0, 1}
	if low >= s.Range[0] && high <= s.Range[1] && !small && !named {
		return nil
	}
	return &usageError{
		msg:  fmt.Sprintf("a mean of %v is none of pixels in %g..%g, as --range and --normalize, or the model, have it", s.Mean, s.Range[0], s.Range[1]),
		hint: "mean and std are in the units of --range: ImageNet's of 0..255 are 123.675,116.28,103.53/58.395,57.12,57.375; --force-input takes them as they are",
	}
}
