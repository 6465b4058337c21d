package cli

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// detectorRows describe a detector by its Spec.
func detectorRows(s *onnx.Spec) [][2]string {
	d := s.Detect
	var strides []string
	for _, l := range d.Levels {
		strides = append(strides, fmt.Sprint(l.Stride))
	}
	kind := map[string]string{"rcnn": "Faster R-CNN", "retinanet": "RetinaNet"}[d.Kind]
	if d.Mask != nil {
		kind = "Mask R-CNN"
	}
	rows := [][2]string{
		{"detector", fmt.Sprintf("%s, maps of stride %s", kind, strings.Join(strides, ", "))},
		{"classes", classesText(d)},
		{"conventions", conventionsText(d)},
	}
	size := fmt.Sprintf("shorter side to %d, longer at most %d, padded to a multiple of %d", d.Images.MinSize, d.Images.MaxSize, d.Images.Multiple)
	if d.Images.Inside {
		size += ", by the network itself"
	}
	var sizes []string
	for _, s := range d.Anchors.Sizes {
		sizes = append(sizes, numbers(s))
	}
	anchors := fmt.Sprintf("sizes %s; ratios %s", strings.Join(sizes, " | "), numbers(d.Anchors.Ratios))
	kept := fmt.Sprintf("score above %g, NMS %g, best %d", d.Test.Score, d.Test.NMS, d.Test.Keep)
	return append(rows, [2]string{"images", size}, [2]string{"anchors", anchors}, [2]string{"kept", kept})
}

// numbers lists numbers to four digits.
func numbers(v []float64) string {
	var out []string
	for _, x := range v {
		out = append(out, fmt.Sprintf("%.4g", x))
	}
	return strings.Join(out, " ")
}

// classesText counts the classes and names the first few.
func classesText(d *onnx.Detect) string {
	var names []string
	for _, c := range d.Classes {
		if c.Name != "" {
			names = append(names, c.Name)
		}
	}
	text := fmt.Sprintf("%d: %s", len(names), strings.Join(first(names, 5), ", "))
	if len(names) > 5 {
		text += ", ..."
	}
	if unused := len(d.Classes) - len(names); unused > 0 {
		text += fmt.Sprintf("; %d outputs are not used", unused)
	}
	return text
}

// conventionsText says what projects do in different ways.
func conventionsText(d *onnx.Detect) string {
	parts := []string{projects[d.Conventions]}
	if d.Background != "" {
		parts = append(parts, "background "+d.Background+" in the checkpoint")
	}
	parts = append(parts, fmt.Sprintf("batch norm epsilon %g", d.BatchNormEps))
	if c := d.Deployed; c != nil && c.Core.Channels == "bgr" {
		parts = append(parts, fmt.Sprintf("BGR in %g to %g inside", c.Core.Range[0], c.Core.Range[1]))
	}
	if r := d.RoI; r != nil {
		parts = append(parts, map[bool]string{false: "RoIAlign without the shift by half a pixel", true: "RoIAlign shifted by half a pixel"}[r.Aligned])
	}
	if d.Anchors.Rounded {
		parts = append(parts, "rounded anchors")
	}
	return strings.Join(parts, ", ")
}
