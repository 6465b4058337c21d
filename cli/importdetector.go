package cli

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// batchNormEps is what --bn-eps asks for; nil: what the checkpoint tells.
func (o importOptions) batchNormEps() (*float64, error) {
	if o.BatchNormEps == "" || o.BatchNormEps == "auto" {
		return nil, nil
	}
	v, err := strconv.ParseFloat(o.BatchNormEps, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return nil, &usageError{msg: fmt.Sprintf("--bn-eps is %q, expected auto or a number from 0 to 1", o.BatchNormEps), hint: "the usual ones are 1e-5 and 0"}
	}
	return &v, nil
}

// checkDetector refuses the flags that mean nothing for a detector, or for anything
// else.
func (v *importing) checkDetector(s *onnx.Spec) error {
	if s.Detect == nil {
		if eps, _ := v.batchNormEps(); eps != nil {
			return &usageError{msg: fmt.Sprintf("--bn-eps goes with a detector, and %q is a classifier, whose batch norms have 1e-5", v.path)}
		}
		return nil
	}
	if v.NoNormalize {
		return &usageError{msg: "--no-normalize means nothing for a detector: its graph scales and pads behind the normalisation"}
	}
	for _, f := range []struct{ flag, value string }{{"input-size", v.InputSize}, {"resize", v.Resize}, {"crop", v.Crop}, {"interpolation", v.Interpolation}} {
		if f.value != "" {
			return &usageError{msg: fmt.Sprintf("--%s means nothing for a detector: it takes images of any size", f.flag)}
		}
	}
	return nil
}

// isCore tells whether a model is a detector without the nodes that choose boxes.
func isCore(m *onnx.Model) bool {
	if m.Metadata(onnx.SpecKey) == "" {
		return false
	}
	s, _, err := m.Spec()
	return err == nil && s.Detect != nil && s.Detect.Deployed == nil
}

// detectorNotes says what was assumed of a detector that no checkpoint holds.
func detectorNotes(im *checkpoint.Imported) []string {
	d := im.Spec.Detect
	if d == nil {
		return nil
	}
	notes := []string{fmt.Sprintf("image sizes, thresholds and how boxes are made are not in the file: those of %s; rtx inspect lists them", projects[d.Conventions])}
	frozen := !slices.ContainsFunc(im.Spec.Extra, func(e onnx.Extra) bool { return e.DType == "int64" })
	switch {
	case d.BatchNormEps == 0:
		notes = append(notes, "batch norms have an epsilon of 0, which torchvision's first released weights are run with")
	case frozen && d.Conventions == "torchvision":
		notes = append(notes, fmt.Sprintf("batch norms have an epsilon of %g; torchvision's first released weights, where another file holds them, need --bn-eps 0", d.BatchNormEps))
	}
	if coco := cocoClasses(d); coco > 0 {
		notes = append(notes, fmt.Sprintf("by their number the classes are the %d of COCO; --labels names others", coco))
	}
	return notes
}

// projects are the names of conventions in words.
var projects = map[string]string{"torchvision": "torchvision", "detectron2": "Detectron2"}

// cocoClasses is the number of classes where they are those of COCO, else 0.
func cocoClasses(d *onnx.Detect) int {
	used := slices.DeleteFunc(slices.Clone(d.Classes), func(c onnx.DetectClass) bool { return c.Name == "" })
	if !slices.Equal(used, onnx.COCOClasses()) {
		return 0
	}
	return len(used)
}
