package foreign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// yolo recognises the forms with one output of boxes and scores, perhaps with
// prototypes of masks beside it.
func (r *reader) yolo() (bool, error) {
	if !r.may(YOLOv5, YOLOv8, YOLOv8Rows, EndToEnd, YOLOX, YOLOXRaw, RTDETR, RTDETRChosen) {
		return false, nil
	}
	if err := r.otherTask(); err != nil {
		return false, err
	}
	var rows, maps []onnx.Value
	raw := 0 // maps of scores and boxes for each anchor
	for _, o := range r.m.Outputs() {
		switch len(o.Shape) {
		case 3:
			rows = append(rows, o)
		case 4:
			maps = append(maps, o)
		case 5:
			raw++
		}
	}
	if len(rows) == 0 && raw > 0 {
		return false, r.missing(fmt.Sprintf("an object detector without its last layer (outputs %s)", valuesText(r.m.Outputs())), "the anchors, by which its maps become boxes, are not in the file; an export with the last layer has them")
	}
	if len(rows) != 1 || rows[0].Shape[1].Size > 0 && rows[0].Shape[1].Size < 5 || rows[0].Shape[2].Size > 0 && rows[0].Shape[2].Size < 5 {
		return false, nil
	}
	o := rows[0]
	if r.given == "" && r.m.Detector() == "" && len(r.names) == 0 && r.m.Metadata("task") == "" {
		return false, nil
	}
	y := &yoloOutput{reader: r, value: o, a: int(o.Shape[1].Size), b: int(o.Shape[2].Size)}
	r.out.outputs = []string{o.Name}
	if len(maps) == 1 && maps[0].Shape[1].Size > 0 && raw == 0 {
		r.out.prototypes, r.out.Masks = int(maps[0].Shape[1].Size), true
		r.out.outputs = append(r.out.outputs, maps[0].Name)
	}
	form, err := y.form()
	if err != nil {
		return false, err
	}
	return true, y.describe(form)
}

// otherTask refuses the models of Ultralytics that find something else than boxes and
// masks.
func (r *reader) otherTask() error {
	switch task := r.m.Metadata("task"); task {
	case "", "detect", "segment":
		return nil
	default:
		return r.missing(fmt.Sprintf("a model of Ultralytics for the task %s, by its metadata", task), "boxes and masks are read of the tasks detect and segment alone")
	}
}

// yoloOutput is the output [N,a,b] of a detector; -1 is an open size.
type yoloOutput struct {
	*reader
	value onnx.Value
	a, b  int
}

// what is the model in words, before its form is known.
func (y *yoloOutput) what() string { return fmt.Sprintf("an object detector (output %s)", y.value) }

// form finds out which form the output has.
func (y *yoloOutput) form() (Form, error) {
	if y.given != "" {
		return y.given, nil
	}
	m, k := y.out.prototypes, len(y.names)
	chosen := (y.b == 6+m || y.b < 0) && y.graph.within(y.value.Name, "TopK", "NonMaxSuppression")
	switch deformable := y.graph.has("GridSample"); { // the attention of RT-DETR
	case chosen && deformable:
		return RTDETRChosen, nil
	case chosen:
		return EndToEnd, nil
	case deformable && k > 0 && y.b == 4+k:
		return y.rows(RTDETR)
	}
	if k > 0 { // the number of classes is known
		return y.formOf(k, m)
	}
	cells := y.cells()
	switch {
	case cells > 0 && y.b == cells && y.a != cells && y.a > 4+m:
		return y.columns()
	case cells > 0 && y.a == 3*cells && y.b > 5+m:
		return y.rows(YOLOv5)
	case cells > 0 && y.a == cells && y.b > 5+m && y.graph.focus(y.out.image.Name):
		return y.yolox()
	case cells > 0 && y.a == cells && y.b > 4+m:
		return "", y.missing(y.what(), "it does not say whether a row holds objectness beside the scores of classes", YOLOX, YOLOXRaw, YOLOv5, YOLOv8Rows)
	case cells > 0:
		return "", y.missing(y.what(), fmt.Sprintf("neither of its sizes is the number of cells of a %dx%d input (%d, or three times that)", y.height, y.width, cells), YOLOv5, YOLOv8, EndToEnd)
	case y.a > 4+m && y.b < 0:
		return y.columns()
	}
	return "", y.missing(y.what(), "the size of its input is open, which leaves open what its rows and columns are", YOLOv5, YOLOv8, YOLOX)
}

// formOf is the form of an output of k classes and m prototypes.
func (y *yoloOutput) formOf(k, m int) (Form, error) {
	cells := y.cells()
	column, row4, row5 := y.a == 4+k+m, y.b == 4+k+m, y.b == 5+k+m
	if column && (row4 || row5) { // as many boxes as values of a box
		return "", y.missing(y.what(), "its rows might be its columns", YOLOv5, YOLOv8)
	}
	anchors := func(i int) bool { return y.a < 0 && y.b < 0 && y.value.Shape[i].Name == "anchors" } // as exporters call boxes
	switch {
	case column || anchors(2):
		return y.columns()
	case anchors(1) && !y.out.ultra:
		return y.rows(YOLOv5)
	case row4:
		return y.rows(YOLOv8Rows)
	case row5 && cells > 0 && y.a == cells:
		if y.graph.focus(y.out.image.Name) {
			return y.yolox()
		}
		return "", y.missing(y.what(), "it has one box for each cell, as YOLOX and YOLOv6 have, whose images differ", YOLOX, YOLOXRaw, YOLOv5)
	case row5:
		return y.rows(YOLOv5)
	}
	return "", y.missing(y.what(), fmt.Sprintf("neither of its sizes fits the %d classes of its metadata", k))
}

// columns is YOLOv8, where a sigmoid makes the scores and they are the last of what
// the output was put together of, but for the coefficients of masks. Of poses and of
// turned boxes they are not.
func (y *yoloOutput) columns() (Form, error) {
	if !y.graph.within(y.value.Name, "Sigmoid", "HardSigmoid") {
		return "", y.missing(y.what(), "no sigmoid makes its scores: the last layer is not in the file")
	}
	parts := y.graph.parts(y.value.Name)
	if len(parts) < 2 { // put together by other nodes
		return YOLOv8, nil
	}
	if y.out.Masks {
		parts = parts[:len(parts)-1]
	}
	if last := parts[len(parts)-1]; last == nil || last.OpType != "Sigmoid" {
		return "", y.missing(y.what(), "its last values are no scores: they may be key points, angles, or coefficients of masks whose prototypes are not among the outputs")
	}
	return YOLOv8, nil
}

// rows is a form whose scores a sigmoid must have made.
func (y *yoloOutput) rows(form Form) (Form, error) {
	if !y.graph.within(y.value.Name, "Sigmoid", "HardSigmoid") {
		return "", y.missing(y.what(), "no sigmoid makes its scores: the last layer is not in the file")
	}
	return form, nil
}

// yolox tells decoded boxes, whose sizes an Exp has made, from raw ones.
func (y *yoloOutput) yolox() (Form, error) {
	if y.graph.within(y.value.Name, "Exp") {
		return y.rows(YOLOX)
	}
	return y.rows(YOLOXRaw)
}

// cells is the number of cells of all maps of an input of fixed size, 0 where it is
// open.
func (r *reader) cells() int {
	n := 0
	for _, s := range r.strides() {
		n += ((r.height + s - 1) / s) * ((r.width + s - 1) / s)
	}
	return n
}

// strides are those of YOLO's maps, up to the one that Ultralytics' metadata has.
func (r *reader) strides() []int {
	strides := []int{8, 16, 32}
	if s, _ := strconv.Atoi(r.m.Metadata("stride")); s == 64 {
		strides = append(strides, 64)
	}
	return strides
}

// describe sets what follows from the form.
func (y *yoloOutput) describe(form Form) error {
	out, k := y.out, -1 // classes
	out.Form, out.strides = form, y.strides()
	switch m := out.prototypes; form {
	case YOLOv5, YOLOX, YOLOXRaw:
		k = y.b - 5 - m
	case YOLOv8:
		k = y.a - 4 - m
	case YOLOv8Rows, RTDETR:
		k = y.b - 4 - m
	case EndToEnd, RTDETRChosen:
		if y.b > 0 && y.b != 6+m {
			return y.missing(y.what(), fmt.Sprintf("rows of the form %s have %d values", form, 6+m))
		}
		k = 0
	}
	if y.a < 0 && y.b < 0 { // the graph does not tell
		k = len(y.names)
	}
	if k < 0 || k == 0 && !form.isOne(EndToEnd, RTDETRChosen) {
		return y.missing(y.what(), fmt.Sprintf("the form %s leaves no column for scores", form))
	}
	out.What = fmt.Sprintf("an object detector of the form %s (output %s%s)", form, y.value, y.because(form))
	if form == YOLOXRaw && y.cells() > 0 && y.cells() != y.a {
		return y.missing(out.What, fmt.Sprintf("it has %d boxes, and a %dx%d input has %d cells", y.a, y.height, y.width, y.cells()))
	}
	return y.classes(k, 0)
}

// because says what tells the form.
func (y *yoloOutput) because(form Form) string {
	var why []string
	if y.given != "" {
		return ": as asked for"
	}
	switch form {
	case YOLOv8:
		why = append(why, "a column for each box")
	case YOLOv5:
		why = append(why, "a row for each box, with objectness")
	case EndToEnd:
		why = append(why, "rows of x1, y1, x2, y2, score and class, chosen by the graph")
	case RTDETRChosen:
		why = append(why, "rows of a box, score and class, chosen by the graph, which attends to points (GridSample)")
	case YOLOX:
		why = append(why, "a row for each cell, decoded by the graph, of an input taken apart into four")
	case YOLOXRaw:
		why = append(why, "a row for each cell, not decoded, of an input taken apart into four")
	case YOLOv8Rows, RTDETR:
		why = append(why, "a row for each box, without objectness")
	}
	if y.out.Masks {
		why = append(why, fmt.Sprintf("%d prototypes of masks", y.out.prototypes))
	}
	if slices.Contains([]Form{YOLOv5, YOLOv8, YOLOv8Rows, YOLOX}, form) {
		why = append(why, "scores by a sigmoid")
	}
	return ": " + strings.Join(why, ", ")
}
