package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrDetector says that a model is an object detector where features of whole images
// are wanted.
var ErrDetector = errors.New("it has no features of whole images")

// Detector says in words that a model is an object detector, and what tells so; ""
// where nothing does. It knows them by operators that choose boxes, by the usual
// names of outputs, and by one output [N,boxes,values] or [N,values,boxes] that is
// put together of several maps, as those of YOLO and SSD are. A Spec that describes a
// detector says it, too.
func (m *Model) Detector() string {
	if m.detects() {
		return "an object detector, as its Spec says"
	}
	for _, n := range m.Proto.Graph.Node {
		if boxOperators[n.OpType] {
			return fmt.Sprintf("an object detector (operator %s)", n.OpType)
		}
	}
	outputs := m.Outputs()
	for _, o := range outputs {
		name := strings.ToLower(o.Name)
		if slices.ContainsFunc([]string{"box", "bbox", "num_detections", "num_dets"}, func(s string) bool { return strings.Contains(name, s) }) {
			return fmt.Sprintf("an object detector (output %s)", o)
		}
	}
	for i, o := range outputs {
		for _, other := range outputs[i+1:] { // loc [N,boxes,4] and conf [N,boxes,K]
			if len(o.Shape) == 3 && len(other.Shape) == 3 && o.Shape[1].Size == other.Shape[1].Size && o.Shape[1].Size > 1 && (o.Shape[2].Size == 4 || other.Shape[2].Size == 4) {
				return fmt.Sprintf("an object detector (outputs %s and %s)", o, other)
			}
		}
		if m.joinsBoxes(o) {
			return fmt.Sprintf("an object detector (output %s: boxes and their scores)", o)
		}
	}
	return ""
}

// boxOperators choose or code boxes. All but the first two are plugins of TensorRT.
var boxOperators = map[string]bool{
	"NonMaxSuppression": true, "RoiAlign": true,
	"EfficientNMS_TRT": true, "BatchedNMS_TRT": true, "BatchedNMSDynamic_TRT": true, "NMS_TRT": true, "DetectionOutput": true, "YoloLayer_TRT": true,
}

// joinsBoxes tells whether an output has three dimensions and is a concatenation,
// perhaps moved: of the boxes of several maps, or of boxes and scores.
func (m *Model) joinsBoxes(o Value) bool {
	if len(o.Shape) != 3 {
		return false
	}
	t := m.tracer()
	n := t.producer[t.behind(o.Name)]
	if n == nil || n.OpType != "Concat" || len(n.Input) < 2 {
		return false
	}
	const least = 5 // box and class, or box and confidence
	a, b := o.Shape[1].Size, o.Shape[2].Size
	return (a < 0 || a >= least) && (b < 0 || b >= least) && !slices.ContainsFunc(n.Input, t.isConstant)
}

// detects tells whether the model's Spec describes a detector.
func (m *Model) detects() bool {
	if m.Metadata(SpecKey) == "" {
		return false
	}
	s, _, err := m.Spec()
	return err == nil && s.Detect != nil
}
