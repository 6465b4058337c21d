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
	case d.Deployed != nil && (d.Deployed.Masks != "" && d.Mask == nil || d.Deployed.Batch < 0):
		return fault("deployed with masks %q and a batch of %d", d.Deployed.Masks, d.Deployed.Batch)
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
	if text := badNumbers(d); text != "" {
		return fault("%s", text)
	}
	if m := d.Mask; m != nil && m.Paste != pasteTorchvision && m.Paste != pasteDetectron2 {
		return fault("paste %q, expected %s or %s", m.Paste, pasteTorchvision, pasteDetectron2)
	}
	return nil
}

// The largest numbers that a Spec may have, far above those of any detector, so that
// a damaged one does not take up all memory.
const (
	mostBoxes   = 1 << 20
	mostPixels  = 1 << 15 // of a side
	mostCells   = 1 << 10 // of a side of the features of a box, or of its mask
	mostSamples = 1 << 8  // of RoIAlign, in a direction
)

// badNumbers says which number of a Spec cannot be, "" where all can.
func badNumbers(d *onnx.Detect) string {
	for _, n := range []struct {
		name         string
		value, least int
		most         int
	}{
		{"max_size", max(d.Images.MinSize, d.Images.MaxSize), 1, mostPixels}, {"multiple", d.Images.Multiple, 0, mostPixels},
		{"keep", d.Test.Keep, 1, mostBoxes}, {"top_k", d.Test.TopK, btoi(d.Box == nil), mostBoxes},
	} {
		if n.value < n.least || n.value > n.most {
			return fmt.Sprintf("%s %d, expected %d to %d", n.name, n.value, n.least, n.most)
		}
	}
	if d.Box != nil {
		p, r := d.Proposals, d.RoI
		switch {
		case p.PreNMS < 1 || p.PostNMS < 1 || max(p.PreNMS, p.PostNMS) > mostBoxes:
			return fmt.Sprintf("proposals pre_nms %d and post_nms %d, expected 1 to %d", p.PreNMS, p.PostNMS, mostBoxes)
		case d.Box.Size < 1 || d.Box.Size > mostCells:
			return fmt.Sprintf("box size %d, expected 1 to %d", d.Box.Size, mostCells)
		case r.Sampling < 0 || r.Sampling > mostSamples:
			return fmt.Sprintf("roi sampling %d, expected 0 to %d", r.Sampling, mostSamples)
		}
	}
	if m := d.Mask; m != nil && (min(m.Size, m.Out) < 1 || max(m.Size, m.Out) > mostCells) {
		return fmt.Sprintf("mask size %d and out %d, expected 1 to %d", m.Size, m.Out, mostCells)
	}
	return ""
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
