package detect

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/robust-transfer/rtx/onnx"
)

// ErrNoDetector says that a model's Spec is not that of a detector.
var ErrNoDetector = errors.New("the model has no spec of a detector")

// checkSpec returns the first fault of the Spec of a detector.
func checkSpec(spec onnx.Spec) error {
	d := spec.Detect
	fault := func(format string, a ...any) error {
		return fmt.Errorf("detect: spec: %s: %w", fmt.Sprintf(format, a...), onnx.ErrFormat)
	}
	switch {
	case d.Kind != "rcnn" && d.Kind != "retinanet":
		return fault("kind %q, expected rcnn or retinanet", d.Kind)
	case d.Kind == "rcnn" && (d.Proposals == nil || d.RoI == nil || d.Box == nil):
		return fault("kind rcnn without proposals, roi and box")
	case d.Kind == "retinanet" && (d.Box != nil || d.Mask != nil):
		return fault("kind retinanet with heads of boxes")
	case len(d.Classes) == 0:
		return fault("no classes")
	case len(d.Levels) == 0 || len(d.Levels) != len(d.Anchors.Sizes):
		return fault("%d levels, and anchors of %d", len(d.Levels), len(d.Anchors.Sizes))
	case d.Images.MinSize < 1 || d.Images.MaxSize < 1 || d.Images.Multiple < 0 || d.Images.Rounding != "floor" && d.Images.Rounding != "half":
		return fault("images of sides %d to %d, rounded by %q to multiples of %d", d.Images.MinSize, d.Images.MaxSize, d.Images.Rounding, d.Images.Multiple)
	case spec.Layout != "nchw" || spec.ChannelCount() != 3:
		return fault("layout %q of %q images, expected nchw and colours", spec.Layout, spec.Channels)
	}
	for i, l := range d.Levels {
		if l.Stride < 1 || l.Channels < 1 {
			return fault("level %d of stride %d with %d channels", i, l.Stride, l.Channels)
		}
		if len(d.Anchors.Sizes[i]) == 0 || len(d.Anchors.Ratios) == 0 {
			return fault("no anchors of level %d", i)
		}
	}
	if r := d.RoI; r != nil && (r.Levels < 1 || r.Levels > len(d.Levels) || bits.OnesCount(uint(d.Levels[0].Stride)) != 1) {
		return fault("regions of %d of %d levels, the finest of stride %d", r.Levels, len(d.Levels), d.Levels[0].Stride)
	}
	if m := d.Mask; m != nil && m.Paste != pasteTorchvision && m.Paste != pasteDetectron2 {
		return fault("paste %q, expected %s or %s", m.Paste, pasteTorchvision, pasteDetectron2)
	}
	return nil
}

// levelValues are the values of a core that its trunk computes.
func levelValues(d *onnx.Detect) []string {
	var out []string
	for i, l := range d.Levels {
		if d.RoI != nil && i < d.RoI.Levels {
			out = append(out, l.Value)
		}
		out = append(out, l.Logits, l.Deltas)
	}
	return out
}
