package arch

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
)

// classes names the classes of a detector. A checkpoint holds their number alone. As
// many outputs as the published networks have stand for COCO's classes: 91 of
// torchvision, numbered as in COCO's files, gaps and all, and 80 of Detectron2.
func (c conventions) classes(d detector) []onnx.DetectClass {
	n, first := d.classes, int64(1)
	if d.kind != RetinaNet {
		n-- // the background
	} else if c == torchvision {
		first = 0
	}
	coco := onnx.COCOClasses()
	if c == detectron2 && n == len(coco) {
		return coco
	}
	names := map[int64]string{}
	for _, k := range coco {
		names[k.ID] = k.Name
	}
	out := make([]onnx.DetectClass, n)
	for i := range out {
		id := first + int64(i)
		out[i] = onnx.DetectClass{ID: id, Name: names[id]}
		if !(c == torchvision && d.classes == 91) {
			out[i].Name = fmt.Sprintf("class%d", id)
		}
	}
	return out
}
