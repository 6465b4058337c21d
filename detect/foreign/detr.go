package foreign

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// detr recognises logits [N,Q,C] beside boxes [N,Q,4]. SSD without its last layer has
// the same shapes; but only the boxes of DETR are made by a sigmoid.
func (r *reader) detr() (bool, error) {
	if !r.may(DETR, DETRSigmoid) {
		return false, nil
	}
	logits, boxes := r.pair()
	if logits == nil {
		return false, nil
	}
	what := fmt.Sprintf("an object detector (outputs %s and %s)", logits, boxes)
	if !r.graph.within(boxes.Name, "Sigmoid") {
		return false, r.missing(what, "no sigmoid makes its boxes: as SSD's they may be relative to anchors, which are not in the file; an export with the last layer and non-maximum suppression has them")
	}
	if r.graph.within(logits.Name, "Softmax", "LogSoftmax") || behindSigmoid(r.graph, logits.Name) {
		return false, r.missing(what, "its scores are not the logits that DETR has: an activation follows them")
	}
	k := int(logits.Shape[2].Size)
	if k < 1 {
		return false, r.missing(what, "the number of its classes is open")
	}
	out := r.out
	out.outputs = []string{logits.Name, boxes.Name}
	switch {
	case r.given != "":
		out.Form = r.given
	case r.focal(boxes.Name):
		out.Form = DETRSigmoid
		r.assumed("a sigmoid for each class, as the graph chooses or refines boxes (TopK, GridSample or an inverse sigmoid) as RT-DETR and Deformable DETR do")
	default:
		out.Form = DETR
		r.assumed("a softmax over the classes and the background, which is the last, as DETR and YOLOS have it")
	}
	if out.Form == DETR {
		k--
	}
	out.What = fmt.Sprintf("an object detector of the form %s (outputs %s and %s: logits and boxes, which a sigmoid makes)", out.Form, logits, boxes)
	if k < 1 {
		return false, r.missing(out.What, "it has no class beside the background")
	}
	return true, r.classes(k, 0)
}

func behindSigmoid(g *graph, value string) bool {
	n := g.behind(value)
	return n != nil && n.OpType == "Sigmoid"
}

// pair finds the two outputs: by their usual names, else by their shapes, if two
// outputs of three dimensions have the same number of rows and one of them 4 columns.
func (r *reader) pair() (logits, boxes *onnx.Value) {
	var all []onnx.Value
	for _, o := range r.m.Outputs() {
		if len(o.Shape) != 3 {
			continue
		}
		all = append(all, o)
		switch name := strings.ToLower(o.Name); {
		case name == "pred_boxes":
			boxes = &o
		case name == "logits" || name == "pred_logits":
			logits = &o
		}
	}
	if logits != nil && boxes != nil {
		return logits, boxes
	}
	if len(all) != 2 || all[0].Shape[1].Size != all[1].Shape[1].Size {
		return nil, nil
	}
	a, b := &all[0], &all[1]
	switch four := [2]bool{a.Shape[2].Size == 4, b.Shape[2].Size == 4}; four {
	case [2]bool{true, false}:
		return b, a
	case [2]bool{false, true}:
		return a, b
	}
	return nil, nil
}

// focal tells whether a detector is of those that are trained with a focal loss, which
// goes with a sigmoid: they choose or refine boxes in the graph.
func (r *reader) focal(boxes string) bool {
	return r.graph.has("TopK", "GridSample") || r.graph.within(boxes, "Log")
}

// plain tells whether images are resized to a square and not normalised, as for RT-DETR,
// which chooses its queries by TopK.
func (r *reader) plain() bool { return r.out.Form == DETRSigmoid && r.graph.has("TopK") }
