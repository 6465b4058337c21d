package arch

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// Unbuilt is the error that tensors are those of a detector, or in a form of one, of
// which no model is made.
type Unbuilt struct{ Network string }

func (u *Unbuilt) Error() string {
	return fmt.Sprintf("arch: the tensors are those of %s, of which no model is made", u.Network)
}

// unbuiltNames tell such detectors by a part of a name that only they have. The first
// one that fits counts.
var unbuiltNames = []struct{ part, network string }{
	{"roi_heads.keypoint_", "Keypoint R-CNN"},
	{"head.regression_head.bbox_ctrness.", "FCOS"},
	{"head.classification_head.module_list.", "an SSD"},
	{"roi_heads.box_predictor.0.", "Cascade R-CNN"},
	{"roi_heads.res5.", "a detector of Detectron2 without a feature pyramid (C4)"},
	{"backbone.body.16.0.weight", "a detector on MobileNetV3"},
	{"res2_0_branch2a_w", "a network of Detectron or Caffe2"},
}

// unbuilt is an *Unbuilt where the tensors are such.
func unbuilt(tensors []onnx.Tensor) error {
	for _, u := range unbuiltNames {
		for _, t := range tensors {
			if strings.Contains(t.Name, u.part) {
				return &Unbuilt{u.network}
			}
		}
	}
	return nil
}
