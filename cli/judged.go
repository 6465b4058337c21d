package cli

import (
	"fmt"

	"github.com/robust-transfer/rtx/detect/coco"
)

// judged are detections that are compared with what the images show.
type judged struct {
	truth *truth
	found []coco.Detection

	boxes, masks *coco.Evaluation // nil: not judged
}

// evaluation compares detections with the truth, by their boxes or their masks.
func (v *judged) evaluation(found []coco.Detection, masks bool) (*coco.Evaluation, error) {
	e, err := coco.Evaluate(&v.truth.Dataset, found, coco.Config{Masks: masks})
	if err != nil {
		return nil, fmt.Errorf("%q: %w", v.truth.name, err)
	}
	return e, nil
}

// withMasks reports whether every detection has a mask.
func (v *judged) withMasks() bool {
	return len(v.found) > 0 && v.withoutMask() == 0
}

// withoutMask counts the detections without a mask.
func (v *judged) withoutMask() (n int) {
	for _, d := range v.found {
		if d.Mask == nil {
			n++
		}
	}
	return n
}

// figures are COCO's, and those of each class.
func (v *judged) figures() *objectEvaluation {
	r := &objectEvaluation{
		Protocol: v.truth.split, Split: v.truth.split, N: len(v.truth.Images), Detections: len(v.found), Classes: len(v.truth.Categories),
		BBox: figuresOf(v.boxes.Summary()), Strays: v.boxes.Strays.Detections, PerClass: []objectClass{},
	}
	for _, a := range v.truth.Annotations {
		if a.Crowd {
			r.Crowds++
		} else {
			r.Objects++
		}
	}
	for _, c := range v.boxes.PerClass() {
		r.PerClass = append(r.PerClass, objectClass{
			Label: c.Name, ID: c.ID, N: c.Objects, Detections: c.Detections, AP: share(c.AP), AP50: share(c.AP50), AP75: share(c.AP75),
		})
	}
	if v.masks != nil {
		r.Segm = figuresOf(v.masks.Summary())
		for i, c := range v.masks.PerClass() {
			ap, ap50 := share(c.AP), share(c.AP50)
			r.PerClass[i].SegmAP, r.PerClass[i].SegmAP50 = &ap, &ap50
		}
	}
	return r
}
