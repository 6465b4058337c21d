package foreign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// The detectors in this file choose boxes in their graph.

// tensorFlow recognises the outputs of TensorFlow's Object Detection API by their
// names.
func (r *reader) tensorFlow() (bool, error) {
	if !r.may(TensorFlow) {
		return false, nil
	}
	found := map[string]onnx.Value{}
	for _, o := range r.m.Outputs() {
		name, _, _ := strings.Cut(strings.ToLower(o.Name), ":") // detection_boxes:0
		found[name] = o
	}
	names := []string{"detection_boxes", "detection_classes", "detection_scores", "num_detections"}
	var lost []string
	for _, n := range names {
		if v, ok := found[n]; ok {
			r.out.outputs = append(r.out.outputs, v.Name)
		} else {
			lost = append(lost, n)
		}
	}
	if len(lost) == len(names) {
		return false, nil
	}
	r.out.Form, r.out.What = TensorFlow, "an object detector of the form tensorflow (outputs "+strings.Join(names, ", ")+")"
	if len(lost) > 0 {
		return false, r.missing("an object detector of TensorFlow", fmt.Sprintf("it lacks the outputs %q", lost))
	}
	k := 0
	for _, n := range []string{"detection_multiclass_scores", "raw_detection_scores"} { // the background among them
		if v, ok := found[n]; ok && len(v.Shape) == 3 && v.Shape[2].Size > 1 {
			k = int(v.Shape[2].Size) - 1
		}
	}
	if _, ok := found["detection_masks"]; ok {
		r.assumed("the masks of the output detection_masks, which are not read")
	}
	r.assumed("classes are counted from 1 on, as the API's label maps do")
	return true, r.classes(k, 1)
}

// torchvision recognises boxes, labels, scores and perhaps masks of a single image by
// their shapes and types.
func (r *reader) torchvision() (bool, error) {
	if !r.may(Torchvision) {
		return false, nil
	}
	var boxes, labels, scores, masks []onnx.Value
	for _, o := range r.m.Outputs() {
		integer := o.DType == pb.TensorProto_INT64 || o.DType == pb.TensorProto_INT32
		switch n := len(o.Shape); {
		case n == 2 && o.Shape[1].Size == 4 && !integer:
			boxes = append(boxes, o)
		case n == 1 && integer:
			labels = append(labels, o)
		case n == 1:
			scores = append(scores, o)
		case n == 4 && (o.Shape[1].Size == 1 || o.Shape[1].Size < 0):
			masks = append(masks, o)
		}
	}
	if len(boxes) != 1 || len(labels) != 1 || len(scores) != 1 || len(masks) > 1 {
		return false, nil
	}
	out := r.out
	out.outputs, out.Form = []string{boxes[0].Name, labels[0].Name, scores[0].Name}, Torchvision
	all := []onnx.Value{boxes[0], labels[0], scores[0]}
	if len(masks) == 1 {
		out.Masks, out.outputs, all = true, append(out.outputs, masks[0].Name), append(all, masks[0])
	}
	out.What = fmt.Sprintf("an object detector of the form torchvision (outputs %s: boxes, labels and scores of one image, chosen by the graph)", valuesText(all))
	if n := len(r.m.Outputs()); n > len(all) {
		r.assumed("%d more outputs, which are not read", n-len(all))
	}
	r.assumed("labels are counted from 1 on, as 0 is the background")
	return true, r.classes(r.labels(), 1)
}

// labels is the number of classes of a torchvision detector, by the bias of the layer
// that scores them, which has one more for the background; 0 where the names of weights
// do not tell it.
func (r *reader) labels() int {
	for _, t := range r.m.Tensors() {
		if strings.HasSuffix(t.Name, "box_predictor.cls_score.bias") && len(t.Dims) == 1 {
			return int(t.Dims[0]) - 1
		}
	}
	for _, v := range r.m.Proto.Graph.ValueInfo { // the scores before they are chosen: [N,anchors,K+1]
		n := r.graph.producer[v.Name]
		if n == nil || n.OpType != "Softmax" {
			continue
		}
		if dims := v.GetType().GetTensorType().GetShape().GetDim(); len(dims) > 0 && dims[len(dims)-1].GetDimValue() > 1 {
			return int(dims[len(dims)-1].GetDimValue()) - 1
		}
	}
	return 0
}

// isOne tells whether a list of forms has this one.
func (f Form) isOne(of ...Form) bool { return slices.Contains(of, f) }
