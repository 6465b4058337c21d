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
	anchors := fmt.Sprintf("sizes %v, ratios %v at each position", d.Anchors.Sizes, d.Anchors.Ratios)
	kept := fmt.Sprintf("score above %g, NMS %g, best %d", d.Test.Score, d.Test.NMS, d.Test.Keep)
	return append(rows, [2]string{"images", size}, [2]string{"anchors", anchors}, [2]string{"kept", kept})
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
	if r := d.RoI; r != nil {
		parts = append(parts, map[bool]string{false: "RoIAlign as it was first", true: "RoIAlign shifted by half a pixel"}[r.Aligned])
	}
	if d.Anchors.Rounded {
		parts = append(parts, "rounded anchors")
	}
	return strings.Join(parts, ", ")
}
